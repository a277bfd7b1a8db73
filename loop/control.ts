import {
  RECORD_BYTES,
  USER_CONTROL_CMD,
  USER_CONTROL_NUM,
  USER_CONTROL_RECORDS,
  USER_CONTROL_TIMEOUT,
} from "../ffi/abi.ts";
import { check, checkWhole } from "../ffi/errors.ts";
import { type Records, U32_MAX } from "../ffi/record.ts";
import { currentRuntime } from "./host.ts";

/**
 * The call as LWN described it in 2006: one control struct with the records right behind it (S4-6,
 * S4-22). Kept for readers of that article; `Queue` does the same with fewer copies, and can be
 * closed: a queue made here ends with its thread.
 *
 * @example A timer of a millisecond
 * ```ts
 * import {
 *   control,
 *   KEVENT_CTL_ADD,
 *   KEVENT_CTL_INIT,
 *   KEVENT_CTL_WAIT,
 *   KEVENT_REQ_ONESHOT,
 *   KEVENT_TIMER,
 *   KEVENT_TIMER_FIRED,
 *   Records,
 * } from "../adapters/mod.ts";
 *
 * const fd = control(0, KEVENT_CTL_INIT);
 * const records = Records.of({
 *   id: [0, 1_000_000],
 *   type: KEVENT_TIMER,
 *   event: KEVENT_TIMER_FIRED,
 *   reqFlags: KEVENT_REQ_ONESHOT,
 * });
 * control(fd, KEVENT_CTL_ADD, 0, records);
 * if (control(fd, KEVENT_CTL_WAIT, 1000, records) !== 1) throw new Error("did not fire within 1 s");
 * ```
 *
 * @param fd The queue; 0 with `KEVENT_CTL_INIT`.
 * @param cmd `KEVENT_CTL_INIT`, `ADD`, `REMOVE`, `MODIFY` or `WAIT`.
 * @param timeoutMs Milliseconds `WAIT` waits at most; 0 for ever. Default 0.
 * @param records In: what to change. Out: results, or the events. Default: none.
 * @returns A descriptor for `INIT`, else how many records were processed or came.
 * @throws {KeventError} EINVAL, EBADF as of `Queue`.
 */
export function control(fd: number, cmd: number, timeoutMs = 0, records?: Records): number {
  const operation = "control queue";
  checkWhole(cmd, 0, U32_MAX, operation, "cmd");
  checkWhole(timeoutMs, 0, U32_MAX, operation, "timeoutMs");
  const num = records?.length ?? 0;
  const bytes = new Uint8Array(new ArrayBuffer(USER_CONTROL_RECORDS + num * RECORD_BYTES));
  const view = new DataView(bytes.buffer);
  view.setUint32(USER_CONTROL_CMD, cmd, true);
  view.setUint32(USER_CONTROL_NUM, num, true);
  view.setUint32(USER_CONTROL_TIMEOUT, timeoutMs, true);
  if (records !== undefined) bytes.set(records.bytes, USER_CONTROL_RECORDS);
  const result = currentRuntime().library.calls.kevent_user_ctl(fd, bytes);
  records?.bytes.set(bytes.subarray(USER_CONTROL_RECORDS));
  return check(result, operation, "kevent_user_ctl");
}
