/** What is measured side by side: the processes from a server to its client. */
import { SUITE_IDS } from "../channel/suite.ts";
import { ehbpIsInstalled } from "./programs/ehbp.ts";
import type { ClientTraits } from "./programs/create-client.ts";

/** One process of a way; `program` is a file of bench/programs. */
export interface Stage {
  readonly program: string;
  /** On whose account its CPU time and memory go. */
  readonly side: "server" | "host" | "client";
  readonly options?: object;
}

export interface ContenderKind {
  readonly name: string;
  readonly title: string;
  /** From the server on; each stage is told where the one before it listens. */
  readonly way: readonly Stage[];
  readonly client?: ClientTraits;
  /** Whether it is left out here, and why. */
  readonly absence?: string | undefined;
}

/** What is between and behind, for those loads that are about it. */
export interface Setting {
  /** Of a long link before the host. */
  readonly roundTripMs?: number;
  /** How long the enclave's security module takes for a document. */
  readonly nsmMs?: number;
}

const WINDOW_BYTES = 8 * 1024 * 1024;

const server = (options = {}): Stage => ({ program: "grpc-server", side: "server", options });
const enclave = (options = {}): Stage => ({ program: "enclave", side: "server", options });
const bridge: Stage = { program: "bridge", side: "server" };
const proxy: Stage = { program: "proxy", side: "host" };
const http2Proxy: Stage = { program: "http2-proxy", side: "host" };
const forwarder: Stage = { program: "forwarder", side: "host" };
const sidecar: Stage = { program: "sidecar", side: "client" };
const tls = server({ tls: true });
const wideTls = server({ tls: true, windowBytes: WINDOW_BYTES });
const wide: ClientTraits = { windowBytes: WINDOW_BYTES };

const ehbpServer: Stage = { program: "ehbp-server", side: "server" };

const [DEFAULT_SUITE, ...OTHER_SUITES] = SUITE_IDS;

export const CONTENDERS: readonly ContenderKind[] = [
  { name: "plaintext", title: "plaintext grpc-js", way: [server()] },
  {
    name: "plaintext-proxy",
    title: "plaintext grpc-js, bare HTTP/2 proxy",
    way: [server(), http2Proxy],
  },
  { name: "tls", title: "grpc-js over TLS, L4", way: [tls, forwarder] },
  {
    name: "tls-wide",
    title: "grpc-js over TLS, L4, windows 8 MiB",
    way: [wideTls, forwarder],
    client: wide,
  },
  { name: "sealrpc", title: "sealrpc", way: [enclave(), proxy] },
  {
    name: "sealrpc-typed",
    title: "sealrpc, createClient",
    way: [enclave(), proxy],
    client: { typed: true },
  },
  ...OTHER_SUITES.map((suite) => ({
    name: `sealrpc-suite-${suite}`,
    title: `sealrpc, suite ${suite}`,
    way: [enclave(), proxy],
    client: { suite },
  })),
  ...SUITE_IDS.map((suite) => ({
    name: `sealrpc-portable${suite === DEFAULT_SUITE ? "" : `-suite-${suite}`}`,
    title: `sealrpc, suite ${suite}, client's crypto portable`,
    way: [enclave(), proxy],
    client: { suite, portable: true },
  })),
  {
    name: "sealrpc-credulous",
    title: "sealrpc, a client that verifies nothing",
    way: [enclave(), proxy],
    client: { credulous: true },
  },
  {
    name: "sealrpc-bare-proxy",
    title: "sealrpc, bare HTTP/2 proxy for its own",
    way: [enclave(), http2Proxy],
  },
  {
    name: "sidecar",
    title: "grpc-js, sidecar, proxy, bridge, grpc-js",
    way: [server({ onSocket: true }), bridge, proxy, sidecar],
  },
  {
    name: "ehbp",
    title: "ehbp, HTTP bodies, direct",
    way: [ehbpServer],
    absence: ehbpIsInstalled() ? undefined : "npm install --no-save ehbp@0.1.7",
  },
];
