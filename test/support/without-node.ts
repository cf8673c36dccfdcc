/**
 * A program for a process of its own (`--experimental-vm-modules`): loads the verifier, its portable
 * backend and their dependencies into a context that has no `process`, no `Buffer`, no `require` and
 * none of Node's modules, as a browser would, and verifies what it reads from standard input there.
 */
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { createContext, type Module, SourceTextModule } from "node:vm";

/** What the program reads. */
export interface Task {
  /** The `dist` folder. */
  readonly dist: string;
  /** The folder that holds package.json and node_modules. */
  readonly root: string;
  /** Hexadecimal digits. */
  readonly evidence: string;
  /** Options of a policy; with a manifest, of one that is made of it. */
  readonly policy: object;
  readonly manifest?: string;
  readonly now: number;
}

type Exports = string | { readonly [condition: string]: Exports };

const task = JSON.parse(readFileSync(0, "utf8")) as Task;
const root = pathToFileURL(`${task.root}/`);
const context = createContext({ atob, console, crypto, TextDecoder, TextEncoder, task });
const modules = new Map<string, Promise<Module>>();

/** Resolves as a bundler for browsers does: conditions `browser`, `import` and `default`. */
function resolve(specifier: string, referrer: string): URL {
  if (/^\.{0,2}\//.test(specifier)) return new URL(specifier, referrer);
  const [, name, path] = /^((?:@[^/]+\/)?[^/]+)(?:\/(.*))?$/.exec(specifier) ?? [];
  const folder = specifier.startsWith("#") ? root : new URL(`node_modules/${name}/`, root);
  const manifest = JSON.parse(readFileSync(new URL("package.json", folder), "utf8")) as {
    readonly imports?: Readonly<Record<string, Exports>>;
    readonly exports?: Readonly<Record<string, Exports>>;
  };
  const key = path === undefined ? "." : `./${path}`;
  const exported = Object.entries(manifest.exports ?? {}).find(([pattern]) => {
    const [prefix = "", suffix] = pattern.split("*");
    return suffix === undefined ? key === pattern : key.startsWith(prefix);
  });
  const target = specifier.startsWith("#") ? manifest.imports?.[specifier] : exported?.[1];
  const star = exported?.[0].includes("*") ? key.slice(exported[0].indexOf("*")) : "";
  const file = choose(target)?.replace("*", star);
  if (file === undefined) throw new Error(`${specifier} is not there without Node (${referrer})`);
  return new URL(file, folder);
}

function choose(target: Exports | undefined): string | undefined {
  if (target === undefined || typeof target === "string") return target;
  for (const [condition, inner] of Object.entries(target)) {
    if (["browser", "import", "default"].includes(condition)) return choose(inner);
  }
  return undefined;
}

function load(url: URL): Promise<Module> {
  const known = modules.get(url.href);
  if (known !== undefined) return known;
  const source = readFileSync(url, "utf8");
  const made = Promise.resolve(new SourceTextModule(source, { context, identifier: url.href }));
  modules.set(url.href, made);
  return made;
}

const dist = pathToFileURL(`${task.dist}/`);
const entry = new SourceTextModule(
  `import { Policy, VerifiedEvidence } from "./attestation/index.js";
   const bytes = Uint8Array.from(task.evidence.match(/../g), (digits) => parseInt(digits, 16));
   const policy = task.manifest === undefined
     ? Policy.from(task.policy)
     : await Policy.fromManifest(task.manifest, task.policy);
   const options = { policy, now: task.now };
   console.log(JSON.stringify(VerifiedEvidence.verify(bytes, options).claims));`,
  { context, identifier: new URL("entry.js", dist).href },
);
await entry.link((specifier, referrer) => load(resolve(specifier, referrer.identifier)));
await entry.evaluate();
