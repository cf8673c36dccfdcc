/**
 * `npm run demo [-- FILE]`: enclave, proxy and client as processes of their own, and between proxy
 * and enclave a tee that keeps all that the host sees. Shows both sides, and searches the host's
 * for what the client sent and got.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import * as grpc from "@grpc/grpc-js";
import { serviceDefinition } from "sealrpc";
import { NotaryService } from "#gen/notary/v1/notary_pb.js";
import { Capture, type Traffic } from "./demo/capture.ts";
import { Program } from "./demo/programs.ts";
import { publishedFiles, publishRelease } from "./demo/publish.ts";
import { hexdump, paint, say, sayBeside, sayRule } from "./demo/screen.ts";
import { startTee } from "./demo/tee.ts";
import { createNotary } from "./notary.ts";
import type { Chapter, Secret } from "./story.ts";

const MAX_FILE_BYTES = 16 << 20;

/** Whether any piece of each kind of secret is in a capture. */
type Found = Map<Secret, boolean>;

process.once("SIGINT", () => process.exit(130));
try {
  process.exitCode = await demo(fileToNotarize());
} catch (error) {
  console.error(`demo: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}

/** npm changes the folder; what the user names is meant from where the user is. */
function fileToNotarize(): string {
  const file = resolve(process.env["INIT_CWD"] ?? ".", process.argv[2] ?? "README.md");
  const stat = statSync(file, { throwIfNoEntry: false });
  if (!stat?.isFile()) throw new Error(`${file} is no file. Usage: npm run demo -- FILE`);
  if (stat.size > MAX_FILE_BYTES) {
    throw new Error(`${file} is too long: the demo keeps in memory all that passes, up to 16 MiB.`);
  }
  return file;
}

async function demo(file: string): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), "sealrpc-demo-"));
  say(
    paint("bold", "A notary in an enclave, called through a host that can read nothing of it."),
    "",
    "  client ══ sealrpc proxy ══ tee ══ enclave      The tee keeps all that the host sees.",
    paint("yellow", "  SIMULATED: no enclave here. The documents are signed under a test root,"),
    paint("yellow", "  and pass every check of the verifier under a policy that names that root."),
    "",
    "  The client knows no measurements. It has the key of the notary's publisher, and takes the",
    "  release that a manifest signed with it calls current.",
    "",
  );
  let isDone = false;
  try {
    const sealed = await sealedCalls(file, folder);
    const plain = await plainCalls(file, folder);
    isDone = sayFindings(sealed, plain) && sayVerification(file, folder);
    return isDone ? 0 : 1;
  } finally {
    for (const name of isDone ? ["policy.json", ...publishedFiles] : readdirSync(folder)) {
      rmSync(join(folder, name), { force: true });
    }
    if (!isDone) rmdirSync(folder);
  }
}

interface Run {
  readonly capture: Capture;
  readonly found: Found;
  readonly paths: ReadonlySet<string>;
}

/** The demo itself: each call as the client sees it, beside what passed the tee meanwhile. */
async function sealedCalls(file: string, folder: string): Promise<Run> {
  const [socket, tap, written] = ["enclave.sock", "tee.sock", "policy.json"].map((name) =>
    join(folder, name),
  ) as [string, string, string];
  const enclave = new Program("enclave.js", [], {
    listen: `unix:${socket}`,
    attester: "simulator",
    "write-policy": written,
  });
  await enclave.says(/listening on/);
  const policy = await publishRelease(folder, written);
  const capture = new Capture();
  const tee = await startTee(tap, socket, capture);
  const proxy = new Program("../../cli/main.js", ["proxy"], {
    listen: "127.0.0.1:0",
    enclave: `unix:${tap}`,
  });
  const [, target] = await proxy.says(/"address":"([^"]+)"/);

  sayBeside(["the client sees"], ["the host sees"]);
  sayRule();
  const chapters: Chapter[] = [];
  // Proxy and enclave have met already; each row is to show its own call.
  capture.look();
  const client = new Program("client.js", [file], { target: String(target), policy, out: folder });
  await client.follow((chapter) => {
    chapters.push(chapter);
    sayBeside([`${chapter.method} (${chapter.kind})`, ...chapter.lines], seen(capture.look()));
    sayBeside([""], [""]);
  });
  await proxy.stop();
  tee.close();
  await enclave.stop();
  return {
    capture,
    found: await search(capture, chapters),
    paths: new Set(await capture.requestPaths()),
  };
}

/** The same client and the same handlers over plain gRPC: shows that the search can find. */
async function plainCalls(file: string, folder: string): Promise<Run> {
  const server = new grpc.Server();
  server.addService(serviceDefinition(NotaryService), createNotary() as never);
  const socket = join(folder, "plain-server.sock");
  await new Promise<number>((done, fail) => {
    server.bindAsync(`unix:${socket}`, grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error ? fail(error) : done(bound),
    );
  });
  const capture = new Capture();
  const tap = join(folder, "plain.sock");
  const tee = await startTee(tap, socket, capture);
  const chapters: Chapter[] = [];
  const client = new Program("client.js", [file], { target: `unix:${tap}` });
  await client.follow((chapter) => chapters.push(chapter));
  tee.close();
  server.forceShutdown();
  return {
    capture,
    found: await search(capture, chapters),
    paths: new Set(await capture.requestPaths()),
  };
}

function seen({ bytes, spanMs, first }: Traffic): string[] {
  const count = (value: number): string => value.toLocaleString("en-US");
  return [
    `↑ ${count(bytes.up)} bytes  ↓ ${count(bytes.down)} bytes  in ${spanMs.toFixed(1)} ms`,
    ...hexdump(first.up, 2).map((line) => `↑ ${line}`),
    ...hexdump(first.down, 2).map((line) => `↓ ${line}`),
  ];
}

async function search(capture: Capture, chapters: readonly Chapter[]): Promise<Found> {
  const views = await capture.views();
  const found: Found = new Map();
  for (const { what, bytes } of chapters.flatMap(({ secrets }) => secrets)) {
    const piece = Buffer.from(bytes, "base64");
    found.set(what, (found.get(what) ?? false) || views.some((view) => view.includes(piece)));
  }
  return found;
}

/** Says what the searches found; true when the sealed way hid all that the plain one showed. */
function sayFindings(sealed: Run, plain: Run): boolean {
  const row = (name: string, cell: string, other: string, style?: "green" | "red"): void => {
    say(`  ${name.padEnd(14)}${style ? paint(style, cell.padEnd(14)) : cell.padEnd(14)}${other}`);
  };
  const bytes = sealed.capture.totalBytes.toLocaleString("en-US");
  say(paint("bold", `The host saw ${bytes} bytes. Searched for what the client sent and got:`), "");
  row("", "sealed", "the same calls by plain gRPC");
  let isHidden = sealed.found.size > 0;
  for (const [what, isShown] of sealed.found) {
    const isShownPlain = plain.found.get(what) ?? false;
    isHidden &&= !isShown && isShownPlain;
    const cell = isShown ? "FOUND" : "not found";
    row(what, cell, isShownPlain ? "found" : "NOT FOUND", isShown ? "red" : "green");
  }
  say("", "Paths that it could read in the headers:", "");
  say(...[...sealed.paths].map((path) => `  sealed  ${path}`));
  say(...[...plain.paths].map((path) => `  plain   ${path}`), "");
  if (!isHidden) say(paint("red", "This must not be: the demo has failed."), "");
  return isHidden;
}

/** Prints the command that verifies the receipt, and runs it where openssl is there. */
function sayVerification(file: string, folder: string): boolean {
  const key = join(folder, "notary.pem");
  const signature = join(folder, "receipt.sig");
  const digest = ["dgst", "-sha256", "-binary", file];
  const verify = ["dgst", "-sha256", "-verify", key, "-signature", signature];
  say(
    paint("bold", `The receipt of ${basename(file)}, verified without sealrpc:`),
    "",
    `  openssl ${digest.map(quoted).join(" ")} \\`,
    `    | openssl ${verify.map(quoted).join(" ")}`,
    "",
  );
  const { error, stdout: hash } = spawnSync("openssl", digest);
  if (error) {
    say("  (There is no openssl here to run it.)");
    return true;
  }
  const { status, stdout, stderr } = spawnSync("openssl", verify, { input: hash });
  say(paint(status === 0 ? "green" : "red", `  ${String(stdout)}${String(stderr)}`.trimEnd()));
  return status === 0;
}

function quoted(word: string): string {
  return /^[\w./:=-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
