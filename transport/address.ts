/**
 * Addresses of proxies and enclaves: `host:port`, `[v6]:port`, `unix:/path`, `vsock:CID:PORT` and
 * `vsock+uds:/path.vsock:PORT`. Parsing is strict, and a parsed address formats to a text that
 * parses to the same address.
 */
import { isIPv4, isIPv6 } from "node:net";

/** The vsock CID that stands for every local CID when listening. */
export const VSOCK_CID_ANY = 0xffff_ffff;

/** Whether a number is the CID of one vsock peer. */
export function isVsockCid(cid: number): boolean {
  return Number.isSafeInteger(cid) && cid >= 0 && cid < VSOCK_CID_ANY;
}

/** @throws RangeError when a size given for vsock's buffer is no positive integer. */
export function requireVsockBuffer(bytes: number | undefined): void {
  if (bytes === undefined || (Number.isSafeInteger(bytes) && bytes > 0)) return;
  throw new RangeError(`vsockBufferBytes is ${bytes}, expected a positive integer`);
}

/** Where a connection goes or comes from. */
export type Address =
  | { readonly kind: "tcp"; readonly host: string; readonly port: number }
  | { readonly kind: "unix"; readonly path: string }
  /** `cid` is {@link VSOCK_CID_ANY} for `any`, which only a listener may use. */
  | { readonly kind: "vsock"; readonly cid: number; readonly port: number }
  /** A virtual machine monitor's Unix socket that leads to a vsock port of its guest. */
  | { readonly kind: "hybrid-vsock"; readonly path: string; readonly port: number };

/** Port 0xffffffff is the kernel's "any port", so it is no port of an address. */
const MAX_VSOCK_PORT = 0xffff_fffe;
/** `sun_path` of Linux has 108 bytes, one of them the final NUL. */
const MAX_UNIX_PATH_BYTES = 107;
const HOST_NAME =
  /^(?=.{1,253}$)[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,62})(?:\.[A-Za-z0-9_][A-Za-z0-9_-]{0,62})*\.?$/;

/**
 * Parses an address.
 *
 * @throws TypeError when the text is none, saying what is wrong with which part.
 */
export function parseAddress(text: string): Address {
  const rest = (scheme: string): string | undefined =>
    text.startsWith(scheme) ? text.slice(scheme.length) : undefined;
  const unix = rest("unix:");
  if (unix !== undefined) {
    return { kind: "unix", path: parsePath(text, unix) };
  }
  const vsock = rest("vsock:");
  if (vsock !== undefined) {
    const [cid, port] = splitPort(text, vsock);
    return {
      kind: "vsock",
      cid: cid === "any" ? VSOCK_CID_ANY : parseNumber(text, "CID", cid, VSOCK_CID_ANY - 1),
      port: parseNumber(text, "port", port, MAX_VSOCK_PORT),
    };
  }
  const hybrid = rest("vsock+uds:");
  if (hybrid !== undefined) {
    const [path, port] = splitPort(text, hybrid);
    return {
      kind: "hybrid-vsock",
      path: parsePath(text, path),
      port: parseNumber(text, "port", port, MAX_VSOCK_PORT),
    };
  }
  const [host, port] = splitPort(text, text);
  return {
    kind: "tcp",
    host: parseHost(text, host),
    port: parseNumber(text, "port", port, 65_535),
  };
}

/** The text of an address, as {@link parseAddress} takes it. */
export function formatAddress(address: Address): string {
  switch (address.kind) {
    case "tcp":
      return address.host.includes(":")
        ? `[${address.host}]:${address.port}`
        : `${address.host}:${address.port}`;
    case "unix":
      return `unix:${address.path}`;
    case "vsock":
      return `vsock:${address.cid === VSOCK_CID_ANY ? "any" : address.cid}:${address.port}`;
    default:
      return `vsock+uds:${address.path}:${address.port}`;
  }
}

function refuse(text: string, why: string): TypeError {
  return new TypeError(
    `${JSON.stringify(text)} is not an address: ${why} ` +
      "(host:port, [v6]:port, unix:/path, vsock:CID:PORT, vsock+uds:/path.vsock:PORT)",
  );
}

function splitPort(text: string, rest: string): [string, string] {
  const colon = rest.lastIndexOf(":");
  if (colon < 0) {
    throw refuse(text, "it has no port");
  }
  return [rest.slice(0, colon), rest.slice(colon + 1)];
}

function parseNumber(text: string, what: string, digits: string, most: number): number {
  if (!/^(?:0|[1-9]\d{0,9})$/.test(digits) || Number(digits) > most) {
    throw refuse(
      text,
      `the ${what} is ${JSON.stringify(digits)}, expected a decimal number from 0 to ${most}`,
    );
  }
  return Number(digits);
}

function parsePath(text: string, path: string): string {
  if (!path.startsWith("/")) {
    throw refuse(text, "the path is not absolute");
  }
  if (path.includes("\0")) {
    throw refuse(text, "the path contains a NUL");
  }
  if (Buffer.byteLength(path) > MAX_UNIX_PATH_BYTES) {
    throw refuse(text, `the path is longer than ${MAX_UNIX_PATH_BYTES} bytes`);
  }
  return path;
}

function parseHost(text: string, host: string): string {
  if (host.startsWith("[") && host.endsWith("]")) {
    const inner = host.slice(1, -1);
    if (!isIPv6(inner)) {
      throw refuse(text, `${JSON.stringify(inner)} is not an IPv6 address`);
    }
    return inner;
  }
  if (host === "") {
    throw refuse(text, "it has no host; 0.0.0.0 or [::] listens on every interface");
  }
  if (host.includes(":")) {
    throw refuse(text, "an IPv6 address stands in brackets, and no other scheme is known");
  }
  // A host of digits and dots only is an IPv4 address or a slip, never a name to look up.
  if (/^[\d.]+$/.test(host) ? !isIPv4(host) : !HOST_NAME.test(host)) {
    throw refuse(text, `${JSON.stringify(host)} is neither a host name nor an IPv4 address`);
  }
  return host;
}
