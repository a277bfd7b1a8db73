// Where the timers are known to differ from the runtime's own, why, and what is seen of ours instead.

/** What is observed of ours, by observation. */
type Seen = Readonly<Record<string, string | undefined>>;

/** A difference that is meant. */
export interface Difference {
  readonly reason: string;
  readonly seen: Seen;
  /** Whether what is seen differs from run to run. Default `false`. */
  readonly varies?: boolean;
}

/** The same of both kinds of `Timeout`. */
function ofBoth(seen: Seen): Seen {
  return Object.fromEntries(
    ["timeout", "interval"].flatMap((kind) =>
      Object.entries(seen).map(([name, value]) => [`objects: ${kind}${name}`, value])
    ),
  );
}

export const IN_DENO: readonly Difference[] = [
  {
    reason:
      "half of the properties of its own are accessors of the class: they are shown all the same",
    seen: {
      ...ofBoth({
        ": own keys":
          '["_idleTimeout", "_idlePrev", "_idleNext", "_onTimeout", "_timerArgs", "_repeat", "Symbol(timerId)"]',
        ": enumerated":
          '["_idleTimeout", "_idlePrev", "_idleNext", "_onTimeout", "_timerArgs", "_repeat", "refresh", "unref", "ref", "close", "hasRef", "_idleStart", "_destroyed", "_asyncId", "_triggerAsyncId", "_asyncDestroyed"]',
        ": own _idleStart": undefined,
        ": own _destroyed": undefined,
        ": own _asyncId": undefined,
        ": own _triggerAsyncId": undefined,
        ": own _asyncDestroyed": undefined,
        ": own Symbol(refed)": undefined,
        ": keys of the prototype":
          '["constructor", "refresh", "unref", "ref", "close", "hasRef", "_idleStart", "_destroyed", "_asyncId", "_triggerAsyncId", "_asyncDestroyed", "Symbol(refed)", "Symbol(nodejs.util.inspect.custom)", "Symbol(Symbol.dispose)", "Symbol(Symbol.toPrimitive)"]',
        " prototype _idleStart": '"get set configurable enumerable"',
        " prototype _idleStart: functions":
          "[undefined, function get _idleStart/0, function set _idleStart/1]",
        " prototype _idleStart: read there": "undefined",
        " prototype _destroyed": '"get set configurable enumerable"',
        " prototype _destroyed: functions":
          "[undefined, function get _destroyed/0, function set _destroyed/1]",
        " prototype _destroyed: read there": "undefined",
        " prototype _asyncId": '"get  configurable enumerable"',
        " prototype _asyncId: functions": "[undefined, function get _asyncId/0, undefined]",
        " prototype _asyncId: read there": "0",
        " prototype _triggerAsyncId": '"get  configurable enumerable"',
        " prototype _triggerAsyncId: functions":
          "[undefined, function get _triggerAsyncId/0, undefined]",
        " prototype _triggerAsyncId: read there": "0",
        " prototype _asyncDestroyed": '"get  configurable enumerable"',
        " prototype _asyncDestroyed: functions":
          "[undefined, function get _asyncDestroyed/0, undefined]",
        " prototype _asyncDestroyed: read there": "false",
        " prototype Symbol(refed)": '"get set configurable"',
        " prototype Symbol(refed): functions":
          "[undefined, function get [refed]/0, function set [refed]/1]",
        " prototype Symbol(refed): read there": "undefined",
      }),
      "objects: timeout: JSON": String
        .raw`"{\"_idleTimeout\":1000,\"_idlePrev\":null,\"_idleNext\":null,\"_timerArgs\":[],\"_repeat\":false}"`,
      "objects: interval: JSON": String
        .raw`"{\"_idleTimeout\":1000,\"_idlePrev\":null,\"_idleNext\":null,\"_timerArgs\":[],\"_repeat\":true}"`,
    },
  },
  {
    reason: "_onImmediate is the callback itself, not one more function around it",
    seen: {
      "objects: immediate: inspected": String
        .raw`"Immediate {\n  _idleNext: null,\n  _idlePrev: null,\n  _onImmediate: [Function],\n  _argv: [],\n  _destroyed: false,\n  asyncId: N,\n  triggerAsyncId: N,\n  Symbol(nodejs.util.inspect.custom): [Function: [nodejs.util.inspect.custom]],\n  Symbol(refed): true\n}"`,
      "objects: immediate: inspected deep": String
        .raw`"{\n  deep: {\n    pending: Immediate {\n      _idleNext: null,\n      _idlePrev: null,\n      _onImmediate: [Function],\n      _argv: [],\n      _destroyed: false,\n      asyncId: N,\n      triggerAsyncId: N,\n      Symbol(nodejs.util.inspect.custom): [Function: [nodejs.util.inspect.custom]],\n      Symbol(refed): true\n    }\n  }\n}"`,
      "objects: immediate._onImmediate": "function nothing/0",
      "objects: immediate: cloned":
        "{ thrown: DOMException DataCloneError 25: ()=>{} could not be cloned. () }",
    },
  },
  {
    reason: "async_hooks do not hear of our timers",
    seen: { "context: hooks": undefined },
    varies: true,
  },
  {
    reason: "Deno calls the old callback, but only of a timer, not of an interval",
    seen: {
      "firing: setTimeout whose callback was replaced": '["new"]',
    },
  },
  {
    reason: "Deno says it is destroyed, and cannot clear it any more",
    seen: {
      "refreshing: refreshed in its callback": "[3, [false, false, false, false], true]",
    },
  },
];

export const IN_BUN: readonly Difference[] = [
  {
    reason: "structuredClone takes any object that is not built in, and makes an empty one of ours",
    seen: {
      "objects: timeout: cloned": "[]",
      "objects: interval: cloned": "[]",
      "objects: immediate: cloned": "[]",
    },
  },
  {
    reason: "of what a callback leaves behind, microtasks run before ticks",
    seen: {
      "firing: between two timers":
        '["timeout a", "timeout a microtask", "timeout a await", "timeout a tick", "timeout a tick of microtask", "timeout b", "timeout b microtask", "timeout b await", "timeout b tick", "timeout b tick of microtask", "timeout c", "timeout c microtask", "timeout c await", "timeout c tick", "timeout c tick of microtask"]',
      "firing: between two immediates":
        '["immediate a", "immediate a microtask", "immediate a await", "immediate a tick", "immediate a tick of microtask", "immediate b", "immediate b microtask", "immediate b await", "immediate b tick", "immediate b tick of microtask", "immediate c", "immediate c microtask", "immediate c await", "immediate c tick", "immediate c tick of microtask"]',
      "firing: after an interval":
        '["interval", "interval microtask", "interval await", "interval tick", "interval tick of microtask"]',
      "exceptions: setTimeout: others run":
        '["1 after 0 heard", "microtask 1", "tick 1", "2 after 0 heard", "microtask 2", "tick 2", "3 after 1 heard", "microtask 3", "tick 3"]',
      "exceptions: setImmediate: others run":
        '["1 after 0 heard", "microtask 1", "tick 1", "2 after 0 heard", "microtask 2", "tick 2", "3 after 1 heard", "microtask 3", "tick 3"]',
    },
  },
];
