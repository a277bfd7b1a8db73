/**
 * Short names of the 2007 description (002) for what LWN (004) and this library spell out.
 *
 * @module
 */
export {
  KEVENT_INODE_CREATE as INODE_CREATED,
  KEVENT_INODE_REMOVE as INODE_REMOVED,
  KEVENT_SOCKET as KEVENT_SOCK,
  KEVENT_SOCKET_ACCEPT as SOCK_ACCEPT,
  KEVENT_SOCKET_RECV as SOCK_RECV,
  KEVENT_SOCKET_SEND as SOCK_SEND,
  KEVENT_TIMER_FIRED as TIMER_FIRED,
} from "./abi.ts";
