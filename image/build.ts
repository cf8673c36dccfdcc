/** Builds an image from a kernel, an init and an application; the same inputs give the same bytes. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { applicationTree, type ApplicationOptions } from "./application-ramdisk.ts";
import { bootstrapTree } from "./bootstrap-ramdisk.ts";
import { encodeCpio } from "./cpio.ts";
import { ImageError } from "./errors.ts";
import { findModules } from "./kernel-modules.ts";
import { describeKernel } from "./kernel.ts";
import type { Architecture } from "./layout.ts";
import type { ImageMetadata } from "./metadata.ts";
import { readPackage } from "./npm-project.ts";
import type { ImageSigner } from "./signature.ts";
import { type EncodedImage, encodeImage } from "./writer.ts";

export interface BuildOptions {
  /** Path of a bzImage (x86_64) or an uncompressed Image (aarch64). */
  readonly kernel: string;
  /** Directory of the kernel's modules; a kernel that has everything built in needs none. */
  readonly modules?: string;
  /** Modules to load, instead of those for VSOCK and the security module. */
  readonly moduleNames?: readonly string[];
  /** Path of a busybox that is linked statically. */
  readonly busybox: string;
  readonly commandLine?: string;
  /** The VSOCK address of the parent instance: 3 on AWS, 2 under most other hypervisors. */
  readonly parentCid?: number;
  readonly application: ApplicationOptions["application"];
  readonly runtime: ApplicationOptions["runtime"];
  /** The file that Node starts, inside of the application; `main` of its package.json unless given. */
  readonly start?: string;
  readonly arguments?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** For the metadata; those of the application's package.json unless given. */
  readonly name?: string;
  readonly version?: string;
  readonly signer?: ImageSigner;
  /** The builder's own version, for the metadata. */
  readonly builderVersion?: string;
  /** Called with each step's text before the step. */
  readonly onStep?: (step: string) => void;
}

export interface BuiltImage extends EncodedImage {
  readonly architecture: Architecture;
  readonly name: string;
  /** Undefined when neither the options nor the application's package.json tell it. */
  readonly version: string | undefined;
  /** SHA-256 of the inputs that are one file each, by what they are, in the order of these names. */
  readonly inputs: Readonly<Record<string, string>>;
  /** Kernel modules in the order in which they are loaded. */
  readonly modules: readonly string[];
  /** Native addons that lack libraries, and which: they will not load in the enclave. */
  readonly incompleteAddons: ReadonlyMap<string, readonly string[]>;
}

/** That of AWS's own builder, without a word that the kernel does not know. */
export const DEFAULT_COMMAND_LINE = "reboot=k panic=30 pci=off console=ttyS0 random.trust_cpu=on";
export const DEFAULT_PARENT_CID = 3;

/**
 * Builds an image in memory.
 *
 * @throws ImageError `unusable-input` when an input cannot be used; errors of the file system as they are.
 */
export function buildImage(options: BuildOptions): BuiltImage {
  const { application, runtime, onStep = () => {} } = options;
  onStep("kernel and its modules");
  const kernel = readFileSync(options.kernel);
  const facts = describeKernel(kernel, options.kernel);
  const { architecture } = facts;
  const modules =
    options.modules === undefined ? [] : findModules(options.modules, facts, options.moduleNames);
  onStep("bootstrap ramdisk");
  const { parentCid = DEFAULT_PARENT_CID, busybox } = options;
  const bootstrap = encodeCpio(bootstrapTree({ architecture, busybox, modules, parentCid }));
  onStep("application ramdisk");
  const folder = "npmProject" in application ? application.npmProject : application.directory;
  const project = readPackage(folder);
  const start = options.start ?? project.main;
  if (start === undefined) {
    throw new ImageError("unusable-input", `${folder}: no start file, and none in package.json`);
  }
  const { tree, incompleteAddons } = applicationTree({
    architecture,
    application,
    runtime,
    start,
    arguments: options.arguments ?? [],
    environment: options.environment ?? {},
  });
  const ramdisks = [bootstrap, encodeCpio(tree)];
  onStep("image file and measurements");
  const { name = project.name ?? "enclave", version = project.version } = options;
  const inputs = {
    busybox: sha256(readFileSync(busybox)),
    kernel: sha256(kernel),
    ...("node" in runtime ? { node: sha256(readFileSync(runtime.node)) } : {}),
  };
  const image = encodeImage({
    architecture,
    kernel,
    commandLine: options.commandLine ?? DEFAULT_COMMAND_LINE,
    metadata: metadataOf(name, version, options.builderVersion, facts.release, inputs),
    ramdisks,
    ...(options.signer === undefined ? {} : { signer: options.signer }),
  });
  const moduleNames = modules.map((module) => module.name);
  return { ...image, architecture, name, version, inputs, modules: moduleNames, incompleteAddons };
}

function metadataOf(
  name: string,
  version: string = "0.0.0",
  builderVersion: string = "0.0.0",
  kernelRelease: string = "unknown",
  inputs: BuiltImage["inputs"],
): ImageMetadata {
  return {
    ImageName: name,
    ImageVersion: version,
    BuildMetadata: {
      // A true time would make every build another file.
      BuildTime: "1970-01-01T00:00:00+00:00",
      BuildTool: "sealrpc",
      BuildToolVersion: builderVersion,
      OperatingSystem: "Linux",
      KernelVersion: kernelRelease,
    },
    DockerInfo: {},
    CustomMetadata: { sha256: inputs },
  };
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
