/** The suite's cases that are run, and where one says nothing. */

/** In the order of docs/interop.md. */
export const CASES = [
  "empty_unary",
  "large_unary",
  "client_streaming",
  "server_streaming",
  "ping_pong",
  "empty_stream",
  "timeout_on_sleeping_server",
  "cancel_after_begin",
  "cancel_after_first_response",
  "status_code_and_message",
  "special_status_message",
  "custom_metadata",
  "unimplemented_method",
  "unimplemented_service",
  "rpc_soak",
  "channel_soak",
  "orca_per_rpc",
  "orca_oob",
  "server_compressed_unary",
  "server_compressed_streaming",
  "client_compressed_unary",
  "client_compressed_unary_noprobe",
  "client_compressed_streaming",
  "client_compressed_streaming_noprobe",
] as const;

export type CaseName = (typeof CASES)[number];
