/** The header block with which a call goes to the application. */
import type { OutgoingHttpHeaders } from "node:http2";

import type { RequestHeader } from "../../channel/call-message.ts";
import type { RawHandler } from "../enclave/index.ts";
import { addEncoding, addMetadata, emptyBlock, MetadataError } from "../http2/header-block.ts";

type VerifiedEvidence = NonNullable<Parameters<RawHandler>[2]>;

/**
 * Under these keys the application reads who calls it. Invariant: they come from here only; what a
 * client sends under `sealrpc-` is dropped.
 */
const CALLER_MODULE_ID_KEY = "sealrpc-caller-module-id";
const CALLER_PCR0_KEY = "sealrpc-caller-pcr0";

const PATH = /^\/[!-~]+$/;
const AUTHORITY = /^[!-~]+$/;
const MODULE_ID = /^[!-~]+$/;

/**
 * Makes the block, without the deadline.
 *
 * @throws MetadataError for a call that plain gRPC cannot say.
 */
export function requestBlock(
  header: RequestHeader,
  caller: VerifiedEvidence | undefined,
): OutgoingHttpHeaders {
  const { method, authority, metadata, encoding } = header;
  if (!PATH.test(method)) throw new MetadataError("the method has no legal name");
  if (authority !== "" && !AUTHORITY.test(authority)) {
    throw new MetadataError("the authority has no legal name");
  }
  const block = emptyBlock();
  block[":method"] = "POST";
  block[":scheme"] = "http";
  block[":path"] = method;
  block[":authority"] = authority === "" ? "localhost" : authority;
  block["content-type"] = "application/grpc";
  block["te"] = "trailers";
  addEncoding(block, encoding);
  addMetadata(block, metadata);
  if (caller !== undefined) addCaller(block, caller);
  return block;
}

function addCaller(block: OutgoingHttpHeaders, { claims }: VerifiedEvidence): void {
  const { moduleId, pcrs } = claims;
  // A policy may skip the check of the id's form.
  if (!MODULE_ID.test(moduleId)) throw new MetadataError("the caller's module has no legal name");
  block[CALLER_MODULE_ID_KEY] = moduleId;
  block[CALLER_PCR0_KEY] = pcrs[0];
}
