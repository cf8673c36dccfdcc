/** The metadata of a request: what the caller gave, what call credentials add, who is calling. */
import { CallCredentials, status as Code } from "@grpc/grpc-js";
import type { Metadata } from "@grpc/grpc-js";

import type { Entry } from "../../channel/call-message.ts";
import { entriesOf } from "../grpc/metadata.ts";
import { statusCode } from "./status-code.ts";

const USER_AGENT_KEY = "user-agent";

/**
 * Makes the entries of a call's metadata, the user agent last and always this channel's. What the
 * caller does to the metadata afterwards changes nothing.
 *
 * @throws TypeError for metadata that cannot travel.
 */
export function requestEntries(metadata: Metadata, userAgent: Entry): readonly Entry[] {
  const entries: Entry[] = [];
  for (const { key, value } of entriesOf(metadata)) {
    if (key === USER_AGENT_KEY) continue;
    entries.push({ key, value: key.endsWith("-bin") ? Uint8Array.from(value) : value });
  }
  entries.push(userAgent);
  return entries;
}

export function userAgentEntry(userAgent: string): Entry {
  return { key: USER_AGENT_KEY, value: Buffer.from(userAgent, "latin1") };
}

/** Why call credentials gave no metadata, as the status that the call ends with. */
export class CredentialsFailure extends Error {
  readonly code: Code;

  constructor(code: Code, message: string) {
    super(message);
    this.code = code;
  }
}

/** Both credentials as one; undefined if neither adds anything. */
export function combineCredentials(
  first: CallCredentials | undefined,
  second: CallCredentials | undefined,
): CallCredentials | undefined {
  if (first === undefined || isEmpty(first)) return isEmpty(second) ? undefined : second;
  return second === undefined || isEmpty(second) ? first : first.compose(second);
}

function isEmpty(credentials: CallCredentials | undefined): boolean {
  return credentials === undefined || CallCredentials.createEmpty()._equals(credentials);
}

/**
 * A copy of `metadata` with what `credentials` add for this call. It is merged before anything is
 * sealed, so credentials travel inside the seal only.
 *
 * @throws CredentialsFailure
 */
export async function withCredentials(
  metadata: Metadata,
  credentials: CallCredentials,
  method: string,
  authority: string,
): Promise<Metadata> {
  const all = metadata.clone();
  try {
    const service_url = serviceUrl(method, authority);
    all.merge(await credentials.generateMetadata({ method_name: method, service_url }));
  } catch (error) {
    throw credentialsFailure(error);
  }
  if (all.get("authorization").length > 1) {
    const message = '"authorization" metadata cannot have multiple values';
    throw new CredentialsFailure(Code.INTERNAL, message);
  }
  return all;
}

function serviceUrl(method: string, authority: string): string {
  const service = method.split("/")[1] ?? "";
  return `https://${hostName(authority)}/${service}`;
}

/** Without the port, as grpc-js does. */
function hostName(authority: string): string {
  const bracketed = /^\[([^\]]+)\](?::\d+)?$/.exec(authority);
  if (bracketed?.[1] !== undefined) return bracketed[1];
  const parts = authority.split(":");
  return parts.length === 2 ? (parts[0] ?? "") : authority;
}

/** Codes that gRPC does not let credentials choose: they would look like the service's answer. */
const NOT_FOR_CREDENTIALS: ReadonlySet<number> = new Set([
  Code.OK,
  Code.INVALID_ARGUMENT,
  Code.NOT_FOUND,
  Code.ALREADY_EXISTS,
  Code.FAILED_PRECONDITION,
  Code.ABORTED,
  Code.OUT_OF_RANGE,
  Code.DATA_LOSS,
]);

function credentialsFailure(error: unknown): CredentialsFailure {
  const { code: given, message } = (error ?? {}) as { code?: unknown; message?: unknown };
  const text = `Getting metadata from plugin failed with error: ${String(message)}`;
  const code = statusCode(given);
  if (!NOT_FOR_CREDENTIALS.has(code)) return new CredentialsFailure(code, text);
  const invalid = `Invalid status from control plane: ${code} ${Code[code]} ${text}`;
  return new CredentialsFailure(Code.INTERNAL, invalid);
}
