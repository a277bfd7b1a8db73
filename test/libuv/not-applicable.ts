import type { Case } from "./cases.ts";

const RUNTIME_SPAWNS = "children are started by the runtime; kevent sees how they end";
const WINDOWS = "kevent runs on Linux, and this is about Windows";
const NO_REQUESTS =
  "there are no requests beside handles: what an unref'd connection still sends keeps nothing alive";

/** Cases of libuv that say nothing about kevent, and why. */
export const NOT_APPLICABLE: Readonly<Partial<Record<Case, string>>> = {
  loop_configure: "the loop has no option: it never blocks a signal while it waits",
  default_loop_close: "the default loop is not closed, because all of its thread use it",
  loop_init_oom:
    "script has no allocator that could be made to fail; tests in Zig let the kernel " +
    "refuse each mapping in turn",
  handle_fileno:
    "handles do not give out descriptors: those of sockets stay inside, and a Poll is " +
    "made of one that the caller has",
  handle_type_name: "the kind of a handle is its class, which has a name already",
  req_type_name: "there are no requests",

  fs_poll_ref:
    "there is no handle that asks for the state of a file again and again: Inode is told",
  tcp_ref3: NO_REQUESTS,
  tcp_ref4: NO_REQUESTS,
  udp_ref3: NO_REQUESTS,
  pipe_ref3: NO_REQUESTS,
  pipe_ref4: NO_REQUESTS,

  poll_bad_fdtype: "a directory is not refused: it is ready at once, as poll(2) has it",
  poll_close_doesnt_corrupt_stack: WINDOWS,
  poll_closesocket: WINDOWS,
  io_64_safe:
    "a connection sends as much as the kernel takes and keeps the rest, so no length is " +
    "too large; files and datagrams are not part of this version",

  kill_invalid_signum: "signals are sent by the runtime; kevent only watches them",

  spawn_fails_check_for_waitpid_cleanup:
    "kevent never reaps: who started a child learns its status",
  spawn_empty_env: RUNTIME_SPAWNS,
  spawn_stdout_and_stderr_to_file2: RUNTIME_SPAWNS,
  spawn_stdout_and_stderr_to_file_swap: RUNTIME_SPAWNS,
  spawn_tcp_server: RUNTIME_SPAWNS,
  spawn_preserve_env: RUNTIME_SPAWNS,
  spawn_closed_process_io: RUNTIME_SPAWNS,
  spawn_detect_pipe_name_collisions_on_windows: WINDOWS,
  argument_escaping: WINDOWS,
  environment_creation: WINDOWS,
  spawn_with_an_odd_path: WINDOWS,
  spawn_no_path: WINDOWS,
  spawn_no_ext: WINDOWS,
  spawn_path_no_ext: WINDOWS,
  spawn_setuid_setgid: RUNTIME_SPAWNS,
  spawn_setuid_fails: RUNTIME_SPAWNS,
  spawn_setgid_fails: RUNTIME_SPAWNS,
  spawn_reads_child_path: RUNTIME_SPAWNS,
  spawn_quoted_path: WINDOWS,
  spawn_relative_path: RUNTIME_SPAWNS,
  spawn_empty_command_line: RUNTIME_SPAWNS,
};
