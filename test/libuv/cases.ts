/** Cases of one of libuv's files, in its order. */
type Files = Readonly<Record<string, readonly string[]>>;

/**
 * All cases that libuv's own tests have for what kevent has too, by group and by file (`test-*.c`
 * of libuv, read in November 2026).
 */
export const CASES = {
  loop: {
    "loop-alive": ["loop_alive"],
    "loop-close": ["loop_close", "loop_instant_close"],
    "loop-configure": ["loop_configure"],
    "loop-handles": ["loop_handles"],
    "loop-stop": ["loop_stop", "loop_stop_before_run"],
    "loop-time": ["loop_update_time", "loop_backend_timeout"],
    "loop-oom": ["loop_init_oom"],
    "default-loop-close": ["default_loop_close"],
    "run-once": ["run_once"],
    "run-nowait": ["run_nowait"],
    "active": ["active"],
    "callback-stack": ["callback_stack"],
    "close-order": ["close_order"],
    "watcher-cross-stop": ["watcher_cross_stop"],
    "walk-handles": ["walk_handles"],
    "idle": ["idle_starvation", "idle_check"],
    "embed": ["embed"],
    "handle-fileno": ["handle_fileno"],
    "getters-setters": ["handle_type_name", "req_type_name", "getters_setters"],
    "queue-foreach-delete": ["queue_foreach_delete"],
  },
  ref: {
    "ref": [
      ...["ref", "idle_ref", "async_ref", "prepare_ref", "check_ref", "unref_in_prepare_cb"],
      ...["timer_ref", "timer_ref2", "fs_event_ref", "fs_poll_ref"],
      ...["tcp_ref", "tcp_ref2", "tcp_ref2b", "tcp_ref3", "tcp_ref4"],
      ...["udp_ref", "udp_ref2", "udp_ref3", "pipe_ref", "pipe_ref2", "pipe_ref3", "pipe_ref4"],
      ...["process_ref", "has_ref"],
    ],
  },
  timer: {
    "timer": [
      ...["timer", "timer_start_twice", "timer_init", "timer_order", "timer_zero_timeout"],
      ...["timer_huge_timeout", "timer_huge_repeat", "timer_run_once", "timer_is_closing"],
      ...["timer_null_callback", "timer_early_check", "timer_no_double_call_once"],
      ...["timer_no_double_call_nowait", "timer_no_run_on_unref"],
    ],
    "timer-again": ["timer_again"],
    "timer-from-check": ["timer_from_check"],
    "hrtime": ["hrtime", "clock_gettime"],
    "gettimeofday": ["gettimeofday"],
  },
  async: {
    "async": ["async"],
    "async-null-cb": ["async_null_cb"],
  },
  poll: {
    "poll": [
      ...["poll_duplex", "poll_unidirectional", "poll_bad_fdtype", "poll_nested_epoll"],
      ...["poll_nested_kqueue"],
    ],
    "poll-close": ["poll_close"],
    "poll-close-doesnt-corrupt-stack": ["poll_close_doesnt_corrupt_stack"],
    "poll-closesocket": ["poll_closesocket"],
    "poll-multiple-handles": ["poll_multiple_handles"],
    "poll-oob": ["poll_oob"],
    "iouring-pollhup": ["iouring_pollhup"],
    "close-fd": ["close_fd"],
    "io-64-safe": ["io_64_safe"],
  },
  signal: {
    "signal": [
      ...["kill_invalid_signum", "win32_signum_number", "we_get_signal", "we_get_signals"],
      ...["we_get_signal_one_shot", "we_get_signals_mixed"],
    ],
    "signal-multiple-loops": ["signal_multiple_loops"],
    "signal-pending-on-close": ["signal_pending_on_close", "signal_close_loop_alive"],
    "eintr-handling": ["eintr_handling"],
  },
  process: {
    "spawn": [
      ...["spawn_fails", "spawn_fails_check_for_waitpid_cleanup", "spawn_empty_env"],
      ...["spawn_exit_code", "spawn_stdout", "spawn_stdout_to_file"],
      ...["spawn_stdout_and_stderr_to_file", "spawn_stdout_and_stderr_to_file2"],
      ...["spawn_stdout_and_stderr_to_file_swap", "spawn_stdin", "spawn_stdio_greater_than_3"],
      ...["spawn_tcp_server", "spawn_ignored_stdio", "spawn_and_kill", "spawn_preserve_env"],
      ...["spawn_detached", "spawn_and_kill_with_std", "spawn_and_ping"],
      ...["spawn_same_stdout_stderr", "spawn_closed_process_io", "kill"],
      ...["spawn_detect_pipe_name_collisions_on_windows", "argument_escaping"],
      ...["environment_creation", "spawn_with_an_odd_path", "spawn_no_path", "spawn_no_ext"],
      ...["spawn_path_no_ext", "spawn_setuid_setgid", "spawn_setuid_fails", "spawn_setgid_fails"],
      ...["spawn_auto_unref", "spawn_fs_open", "closed_fd_events", "spawn_reads_child_path"],
      ...["spawn_inherit_streams", "spawn_quoted_path", "spawn_exercise_sigchld_issue"],
      ...["spawn_relative_path", "spawn_empty_command_line"],
    ],
  },
} as const satisfies Readonly<Record<string, Files>>;

/** A group of cases: one file here. */
export type Group = keyof typeof CASES;

type ValueOf<Table> = Table[keyof Table];

/** The name of a case. */
export type Case = { [Name in Group]: ValueOf<(typeof CASES)[Name]> }[Group][number];

/** Names of all cases of a group. */
export function casesOf(group: Group): Case[] {
  return Object.values<readonly Case[]>(CASES[group]).flat();
}
