/** The suite's cases, and where one cannot say anything. */

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

export const CLIENTS = ["Go", "Java", "Python", "grpc-js"] as const;

export type ClientName = (typeof CLIENTS)[number];

export const SERVERS = ["EnclaveServer", "Go server", "Java server"] as const;

export type ServerName = (typeof SERVERS)[number];

/** A reason that several cells have in common. */
export interface Note {
  /** One sentence of docs/interop.md. */
  readonly text: string;
  /** `absent`: the client has no such case. `fails`: it fails with nothing between, too. */
  readonly kind: "absent" | "fails";
  readonly client?: ClientName;
  readonly server?: ServerName;
  readonly cases: readonly CaseName[];
}

const CLIENT_COMPRESSED = [
  "client_compressed_unary",
  "client_compressed_unary_noprobe",
  "client_compressed_streaming",
  "client_compressed_streaming_noprobe",
] as const;

/** In the order of their numbers in docs/interop.md. */
export const NOTES: readonly Note[] = [
  {
    kind: "absent",
    text: "The official Go client has no cases of compression.",
    client: "Go",
    cases: ["server_compressed_unary", "server_compressed_streaming", ...CLIENT_COMPRESSED],
  },
  {
    kind: "absent",
    text: "grpcio keeps this trailer from its users.",
    client: "Python",
    cases: ["orca_per_rpc"],
  },
  {
    kind: "absent",
    text: "grpcio cannot switch compression off for one message of a stream.",
    client: "Python",
    cases: ["client_compressed_streaming", "client_compressed_streaming_noprobe"],
  },
  {
    kind: "absent",
    text: "`AttestedChannel` never compresses: the length of what is compressed tells of its content.",
    client: "grpc-js",
    cases: CLIENT_COMPRESSED,
  },
  {
    kind: "fails",
    text: "The official Go server does not inflate requests, whoever sends them.",
    server: "Go server",
    cases: CLIENT_COMPRESSED,
  },
  {
    kind: "fails",
    text: "The official Java server does not look at whether a request came compressed.",
    server: "Java server",
    cases: ["client_compressed_unary", "client_compressed_streaming"],
  },
];

/** What is known of a cell before it is run; the number is that of docs/interop.md. */
export function noteOf(
  client: ClientName,
  server: ServerName,
  name: CaseName,
): (Note & { readonly number: number }) | undefined {
  const index = NOTES.findIndex(
    (note) =>
      (note.client ?? client) === client &&
      (note.server ?? server) === server &&
      note.cases.includes(name),
  );
  const note = NOTES[index];
  return note === undefined ? undefined : { ...note, number: index + 1 };
}
