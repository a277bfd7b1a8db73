import { constants } from "node:os";
import process from "node:process";
import { type Loop, Signal } from "../../adapters/mod.ts";
import type { Part } from "./part.ts";
import { answerOf, startScript } from "./processes.ts";

const SIGNALS = 20;

/**
 * Signals that another process sends.
 *
 * @param loop The loop of the demo.
 */
export function startSignals(loop: Loop): Part {
  const problems: string[] = [];
  let got = 0;
  let ownGot = 0;
  let events = 0;

  // The runtime's own handler for the same signal must go on working.
  const own = () => void ownGot++;
  process.on("SIGUSR2", own);
  // It watches when `start` returns, so before anybody sends one.
  const signal = new Signal(loop);
  signal.onError = ({ message }) => {
    problems.push(message);
    sender.kill("SIGKILL");
  };
  signal.start(constants.signals.SIGUSR2, (times, pid) => {
    events++;
    got += times;
    if (pid !== sender.pid) problems.push(`signal ${got} is said to come from process ${pid}`);
    sender.stdin!.write("next\n");
  });
  const sender = startScript("sender.ts", process.pid, SIGNALS);

  return {
    done: answerOf(sender).then(() => {}, (error: Error) => void problems.push(error.message)),
    stop() {
      signal.close();
      process.off("SIGUSR2", own);
    },
    result: () => ({
      what: `${got} of ${SIGNALS} from another process; the runtime's own handler works on`,
      events,
      problems: [
        ...problems,
        ...(got === SIGNALS ? [] : [`${got} of ${SIGNALS} signals came`]),
        ...(ownGot > 0 ? [] : ["the runtime's own handler saw none"]),
      ],
      numbers: { signals: got, own: ownGot },
    }),
  };
}
