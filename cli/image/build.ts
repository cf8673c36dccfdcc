/** `sealrpc image build`: an enclave image from a kernel and an application, without Docker. */
import {
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
  openSync,
  closeSync,
} from "node:fs";
import { Command, InvalidArgumentError } from "commander";
import {
  type BuiltImage,
  buildImage,
  DEFAULT_COMMAND_LINE,
  DEFAULT_PARENT_CID,
  parseSigner,
} from "../../image/index.ts";
import { formatJson, formatTable, type Row } from "../facts.ts";
import { formatReleaseEntry, measurementFacts, measurementRows } from "./measurements.ts";

interface Flags {
  readonly app?: string;
  readonly npm?: string;
  readonly start?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly kernel: string;
  readonly modules?: string;
  readonly module?: readonly string[];
  readonly cmdline: string;
  readonly busybox: string;
  readonly node: string;
  readonly root?: string;
  readonly parentCid: number;
  readonly name?: string;
  readonly imageVersion?: string;
  readonly signKey?: string;
  readonly signCert?: string;
  readonly output: string;
  readonly release?: string;
  readonly json?: boolean;
}

const NOTES = `
The image starts Node with the application's start file and the arguments behind --, as root, in the
directory /, with the environment of --env and no other. It starts it only when the kernel takes its
randomness from the security module.

The same inputs give the same file, on any machine: name the kernel, busybox and Node by files that you
keep. Only a signature differs each time, and it changes no measurement but PCR8.

Examples:
  sealrpc image build --npm . --kernel bzImage --modules ./modules --output notary.eif \\
    -- --listen vsock:any:5000
  sealrpc image build --app ./dist --start main.js --kernel vmlinuz --modules /lib/modules/6.12.0 \\
    --sign-key release.key --sign-cert release.pem --output app.eif --release app.json

Exit status: 0 built, 1 an input cannot be used, 2 wrong usage.`;

export function buildCommand(): Command {
  return new Command("build")
    .description(
      "Build an image from a kernel, Node and an application, and print its measurements.",
    )
    .argument("[arguments...]", "for the application, behind --")
    .option("--app <dir>", "the application: this directory as it is, without .git")
    .option("--npm <dir>", "the application: what npm would publish, and its locked packages")
    .option("--start <file>", "what Node starts, inside of the application (default: main)")
    .option("--env <name=value>", "a variable for the application; once for each", variable)
    .requiredOption("--kernel <file>", "bzImage, or Image of aarch64")
    .option(
      "--modules <dir>",
      "the kernel's modules: .ko, .ko.gz or .ko.xz, also in directories below",
    )
    .option(
      "--module <name>",
      "a module to load, once for each (default: virtio_mmio, vsock, nsm where they are modules)",
      (name: string, before?: readonly string[]) => [...(before ?? []), name],
    )
    .option("--cmdline <text>", "the kernel's command line", DEFAULT_COMMAND_LINE)
    .option("--busybox <file>", "a static busybox", "/bin/busybox")
    .option(
      "--node <file>",
      "Node's executable; its libraries are those of this machine",
      process.execPath,
    )
    .option("--root <dir>", "a root file system with usr/bin/node, instead of --node")
    .option("--parent-cid <cid>", "whom to tell by VSOCK that it runs", cid, DEFAULT_PARENT_CID)
    .option("--name <text>", "for the metadata (default: that of package.json)")
    .option(
      "--image-version <text>",
      "for the metadata and the release (default: that of package.json)",
    )
    .option("--sign-key <file>", "sign with this key of P-384, PEM (with --sign-cert)")
    .option("--sign-cert <file>", "its certificate, PEM; PCR8 will be its hash")
    .requiredOption("--output <file>", "the image")
    .option(
      "--release <file>",
      "also write the entry of a release, for the list of `sealrpc release sign`",
    )
    .option("--json", "print facts as JSON")
    .addHelpText("after", NOTES)
    .action(build);
}

function build(words: readonly string[], flags: Flags, command: Command): void {
  const { app, npm, root, signKey, signCert } = flags;
  if ((app === undefined) === (npm === undefined)) usage(command, "one of --app and --npm");
  if ((signKey === undefined) !== (signCert === undefined)) {
    usage(command, "--sign-key and --sign-cert together");
  }
  const signer =
    signKey === undefined || signCert === undefined
      ? undefined
      : parseSigner(readFileSync(signKey, "utf8"), readFileSync(signCert, "utf8"), Date.now());
  const image = buildImage({
    application: npm === undefined ? { directory: app ?? "" } : { npmProject: npm },
    runtime: root === undefined ? { node: flags.node } : { rootFileSystem: root },
    kernel: flags.kernel,
    busybox: flags.busybox,
    commandLine: flags.cmdline,
    parentCid: flags.parentCid,
    arguments: words,
    environment: flags.env ?? {},
    builderVersion: ownVersion(),
    onStep: showStep,
    ...(flags.modules === undefined ? {} : { modules: flags.modules }),
    ...(flags.module === undefined ? {} : { moduleNames: flags.module }),
    ...(flags.start === undefined ? {} : { start: flags.start }),
    ...(flags.name === undefined ? {} : { name: flags.name }),
    ...(flags.imageVersion === undefined ? {} : { version: flags.imageVersion }),
    ...(signer === undefined ? {} : { signer }),
  });
  for (const [addon, missing] of image.incompleteAddons) {
    console.error(`sealrpc: ${addon} will not load in the enclave: it lacks ${missing.join(", ")}`);
  }
  const { version, measurements } = image;
  if (flags.release !== undefined && version === undefined) {
    usage(command, "--image-version for --release, since package.json tells no version");
  }
  writeImage(flags.output, image);
  if (flags.release !== undefined && version !== undefined) {
    writeFileSync(flags.release, formatReleaseEntry(version, measurements));
  }
  process.stdout.write(
    flags.json === true
      ? formatJson(factsOf(flags.output, image))
      : formatTable(rowsOf(flags.output, image)),
  );
}

/** A file under its final name is whole. */
function writeImage(path: string, { pieces }: BuiltImage): void {
  const part = `${path}.part`;
  try {
    const fd = openSync(part, "w");
    try {
      for (const piece of pieces) {
        for (let at = 0; at < piece.length;) at += writeSync(fd, piece, at);
      }
    } finally {
      closeSync(fd);
    }
    renameSync(part, path);
  } catch (error) {
    rmSync(part, { force: true });
    throw error;
  }
}

function factsOf(path: string, image: BuiltImage): object {
  const { name, version, architecture, modules, inputs } = image;
  return {
    file: path,
    sizeBytes: sizeOf(image),
    name,
    version: version ?? null,
    architecture,
    modules,
    inputs,
    incompleteAddons: Object.fromEntries(image.incompleteAddons),
    measurements: measurementFacts(image.measurements),
  };
}

function rowsOf(path: string, image: BuiltImage): readonly Row[] {
  const { name, version, architecture, modules, inputs } = image;
  return [
    ["image", `${path}, ${sizeOf(image)} bytes`],
    ["name", [name, version].join(" ").trim()],
    ["architecture", architecture],
    ["modules", modules.join(", ") || "none: the kernel must have VSOCK and nsm built in"],
    ...Object.entries(inputs).map(([what, digits]): Row => [what, `SHA-256 ${digits}`]),
    ["", ""],
    ...measurementRows(image.measurements),
  ];
}

function sizeOf({ pieces }: BuiltImage): number {
  return pieces.reduce((sum, { length }) => sum + length, 0);
}

/** A terminal shows what takes its time; a log has no use for it. */
function showStep(step: string): void {
  if (process.stderr.isTTY) console.error(`${step} …`);
}

function ownVersion(): string {
  const path = new URL("../../../package.json", import.meta.url);
  return (JSON.parse(readFileSync(path, "utf8")) as { version: string }).version;
}

function usage(command: Command, what: string): never {
  return command.error(`error: expected ${what}`, { exitCode: 2 });
}

function variable(
  text: string,
  before?: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  const [, name, value] = /^([A-Za-z_]\w*)=(.*)$/s.exec(text) ?? [];
  if (name === undefined || value === undefined || value.includes("\0")) {
    throw new InvalidArgumentError("Expected NAME=VALUE.");
  }
  return { ...before, [name]: value };
}

function cid(text: string): number {
  if (!/^(?:0|[1-9]\d{0,9})$/.test(text) || Number(text) > 0xffff_fffe) {
    throw new InvalidArgumentError("Expected a CID: a decimal number up to 4294967294.");
  }
  return Number(text);
}
