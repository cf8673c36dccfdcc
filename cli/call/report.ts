/** What `sealrpc call` says of a call besides its messages, on standard error. */
import { status as Code } from "@grpc/grpc-js";
import type { Metadata, StatusObject } from "@grpc/grpc-js";
import { fromBinary, type JsonValue } from "@bufbuild/protobuf";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { codeOf, type Outcome, outcomeOf } from "../../services/client/index.ts";
import { formatDocument, formatTable, printable, type Row } from "../facts.ts";
import type { JsonMessages } from "./json-message.ts";

const DETAILS_KEY = "grpc-status-details-bin";
const OUTCOMES: Readonly<Record<Outcome, string>> = {
  executed: "executed: its handler ran",
  "not-executed": "not executed: it can be repeated",
  unknown: "unknown: its handler may have run",
};

/** Metadata under a heading, a line for each value; bytes in base64. */
export function reportMetadata(heading: string, metadata: Metadata): void {
  const rows = Object.entries(metadata.toJSON())
    .filter(([key]) => !key.startsWith("sealrpc-"))
    .flatMap(([key, values]) => values.map((value): Row => [`  ${key}`, metadataText(value)]));
  console.error(rows.length === 0 ? `${heading}: none` : `${heading}:`);
  if (rows.length > 0) process.stderr.write(formatTable(rows));
}

/** The status of a call that did not end with OK. `messages` reads details, where there are any. */
export async function reportStatus(
  status: StatusObject,
  messages: JsonMessages | undefined,
  asJson: boolean,
): Promise<void> {
  const { code, details, metadata } = status;
  const name = Code[code] ?? String(code);
  const outcome = outcomeOf(status);
  const statusDetails = await readDetails(metadata, messages);
  if (asJson) {
    const sealrpcCode = codeOf(status) ?? null;
    const facts = { status: name, code, message: details, outcome: outcome ?? null, sealrpcCode };
    process.stderr.write(formatDocument({ ...facts, details: statusDetails }));
    return;
  }
  console.error(`sealrpc: ${name}: ${printable(details)}`);
  if (outcome !== undefined) console.error(`sealrpc: outcome ${OUTCOMES[outcome]}`);
  for (const detail of statusDetails) process.stderr.write(formatDocument(detail));
}

function metadataText(value: string | Buffer): string {
  return typeof value === "string" ? value : value.toString("base64");
}

/** The details of google.rpc.Status; one of an unknown type keeps its bytes. */
async function readDetails(
  metadata: Metadata,
  messages: JsonMessages | undefined,
): Promise<readonly JsonValue[]> {
  const [bytes] = metadata.get(DETAILS_KEY);
  if (!Buffer.isBuffer(bytes)) return [];
  return Promise.all(
    anysOf(bytes).map(async (any) => {
      try {
        if (messages !== undefined) return await messages.decode(AnySchema, any);
      } catch {
        // Shown as it came.
      }
      const { typeUrl, value } = fromBinary(AnySchema, any);
      return { "@type": typeUrl, value: Buffer.from(value).toString("base64") };
    }),
  );
}

/** The serialized google.protobuf.Any messages of a serialized google.rpc.Status, its field 3. */
function anysOf(status: Uint8Array): readonly Uint8Array[] {
  const anys: Uint8Array[] = [];
  try {
    for (const reader = new BinaryReader(status); reader.pos < reader.len;) {
      const [number, wireType] = reader.tag();
      if (number === 3 && wireType === WireType.LengthDelimited) anys.push(reader.bytes());
      else reader.skip(wireType, number);
    }
  } catch {
    return [];
  }
  return anys;
}
