/** `sealrpc call`: calls a method of an attested enclave with JSON, without generated code. */
import { Metadata, status as Code } from "@grpc/grpc-js";
import { Command, InvalidArgumentError } from "commander";
import { VERSION } from "../services/client/attested-channel.ts";
import { CallError } from "../services/client/index.ts";
import { count, duration } from "./arguments.ts";
import { Connection, type ConnectionFlags } from "./call/connection.ts";
import {
  type DescriptorFlags,
  type DescriptorSource,
  fileSource,
} from "./call/descriptor-source.ts";
import { invoke } from "./call/invoke.ts";
import { JsonMessages } from "./call/json-message.ts";
import { printDescriptions, printNames } from "./call/listing.ts";
import { findMethod } from "./call/lookup.ts";
import { ReflectionSource } from "./call/reflection-source.ts";
import { reportStatus } from "./call/report.ts";
import { printable } from "./facts.ts";
import { Misuse } from "./misuse.ts";

interface Flags extends ConnectionFlags, DescriptorFlags {
  readonly data?: string;
  readonly header: Metadata;
  readonly emitDefaults?: boolean;
  readonly verbose?: boolean;
  readonly json?: boolean;
}

/** A status of gRPC is an exit status from here on, as grpcurl has it. */
const STATUS_BASE = 64;

const EXAMPLES = `
Descriptors come from --proto or --descriptor-set, otherwise from the enclave's reflection service,
through the seal. A method's name is pkg.Service/Method. Messages are JSON as protobuf defines it:
bytes in base64, 64-bit numbers in quotes. Everything but messages goes to standard error.

Examples:
  sealrpc call api.example.com:443 notary.v1.NotaryService/SignDigest --tls --policy policy.json \\
    --data '{"sha256": "…"}'

  # several messages, one after another; with - they are sent as they come
  sealrpc call 127.0.0.1:8080 chat.v1.Chat/Talk --policy policy.json --proto chat.proto --data -

  # what is there?
  sealrpc call 127.0.0.1:8080 list --policy policy.json
  sealrpc call 127.0.0.1:8080 describe notary.v1.NotaryService --policy policy.json

Exit status: 0 OK, 64 + the gRPC status otherwise (80: the enclave was refused), 1 a file that
cannot be read, 2 wrong usage, a bad policy or a bad request.`;

/** The command, to be registered under the program. */
export function callCommand(): Command {
  return new Command("call")
    .description("Call a method of an attested enclave: JSON in, JSON out.")
    .argument("<target>", "where the enclave's proxy listens")
    .argument("<method>", "pkg.Service/Method, or list, or describe")
    .argument("[symbol]", "what to list or describe")
    .option("--policy <file>", "what the enclave must be, JSON")
    .option("--insecure-any-measurement", "call an enclave of any image, AWS's root still holding")
    .option("--tls", "speak TLS to the proxy")
    .option("--tls-ca <file>", "trust these authorities for the proxy instead of the system's, PEM")
    .option("-d, --data <json>", "the requests, JSON; @FILE holds them, - is standard input")
    .option(
      "-H, --header <header>",
      "metadata, 'key: value'; -bin keys in base64",
      header,
      new Metadata(),
    )
    .option("--proto <file>", "a .proto file; once for each", list)
    .option("--import-path <dir>", "where .proto files are looked for; once for each", list)
    .option("--descriptor-set <file>", "a serialized FileDescriptorSet; once for each", list)
    .option("--timeout <duration>", "how long everything may take: 500ms, 5s, 2m", duration)
    .option("--max-message <bytes>", "the longest answer that is accepted (default: 4 MiB)", count)
    .option("--emit-defaults", "print fields also when they have their default value")
    .option("-v, --verbose", "print evidence, metadata, trailers and status")
    .option("--json", "list and describe as JSON, and a status that is not OK")
    .addHelpText("after", EXAMPLES)
    .action(call);
}

async function call(
  target: string,
  method: string,
  symbol: string | undefined,
  flags: Flags,
  command: Command,
): Promise<void> {
  const isListing = method === "list" || method === "describe";
  if (symbol !== undefined && !isListing) {
    command.error(`error: ${symbol}: list and describe take a symbol, a call does not`);
  }
  // Whoever reads the answers may leave before the last one.
  process.stdout.once("error", () => process.exit(STATUS_BASE + Code.CANCELLED));
  const files = await fileSource(flags);
  if (isListing && files !== undefined) {
    await asUsage(command, async () => show(method, files, symbol, flags));
    return;
  }
  const connection = await Connection.open(target, flags, command);
  const source = files ?? new ReflectionSource(connection.channel, () => connection.callOptions());
  try {
    await asUsage(command, async () =>
      isListing
        ? show(method, source, symbol, flags)
        : invokeNamed(method, source, connection, flags),
    );
  } catch (error) {
    const failed = failedCall(error);
    if (failed === undefined) throw error;
    if (failed !== error) console.error(`sealrpc: ${(error as Error).message}`);
    await reportStatus(failed, undefined, flags.json === true);
    process.exitCode = STATUS_BASE + failed.code;
  } finally {
    connection.channel.close();
    // What is not typed yet is not waited for.
    process.stdin.destroy();
  }
}

async function show(
  what: "list" | "describe",
  source: DescriptorSource,
  symbol: string | undefined,
  { json = false }: Flags,
): Promise<void> {
  await (what === "list" ? printNames : printDescriptions)(source, symbol, json);
}

async function invokeNamed(
  name: string,
  source: DescriptorSource,
  connection: Connection,
  flags: Flags,
): Promise<void> {
  const { desc: method, registry } = await findMethod(source, name);
  const messages = new JsonMessages(
    registry,
    async (type) => (await source.registryFor(type))?.getMessage(type),
    flags.emitDefaults === true,
  );
  const { data, header: metadata, verbose = false, json = false } = flags;
  if (metadata.get("user-agent").length === 0) {
    metadata.set("user-agent", `sealrpc-call/${VERSION}`);
  }
  const status = await invoke({ connection, method, messages, data, metadata, verbose });
  if (status.code === Code.OK) return;
  await reportStatus(status, messages, json);
  process.exitCode = STATUS_BASE + status.code;
}

/** Misuse that shows only later is misuse all the same: exit status 2. */
async function asUsage(command: Command, run: () => Promise<void>): Promise<void> {
  try {
    await run();
  } catch (error) {
    if (!(error instanceof Misuse)) throw error;
    command.error(`error: ${printable(error.message)}`, { exitCode: 2 });
  }
}

/** The call whose failure is behind an error, if one is. */
function failedCall(error: unknown): CallError | undefined {
  if (error instanceof CallError) return error;
  return error instanceof Error ? failedCall(error.cause) : undefined;
}

function header(text: string, metadata: Metadata): Metadata {
  const [, key = "", value = ""] = /^([^:]+):\s*(.*)$/.exec(text) ?? [];
  if (/^(sealrpc-|grpc-(?!trace-bin$|tags-bin$)|te$|content-type$|accept-encoding$)/i.test(key)) {
    throw new InvalidArgumentError(`${key} is not a call's to set.`);
  }
  try {
    metadata.add(key, /-bin$/i.test(key) ? Buffer.from(value, "base64") : value);
  } catch {
    throw new InvalidArgumentError("Expected 'key: value', as gRPC allows it.");
  }
  return metadata;
}

function list(text: string, previous: readonly string[] = []): readonly string[] {
  return [...previous, text];
}
