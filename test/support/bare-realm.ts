/**
 * Runs a module of this tree, and all that it imports, in a realm that has what ECMAScript has and
 * three things of every browser, text encoding, base64 and a random source. It has nothing of Node:
 * no `process`, no `Buffer`, no `require`, no timers, no built-in module. Needs `node --experimental-vm-modules`.
 */
import { readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import vm from "node:vm";
import { repositoryRoot as root } from "./repository.ts";

const CONDITIONS = new Set(["browser", "import", "default"]);

interface Manifest {
  readonly exports: Record<string, unknown>;
  readonly imports: Record<string, unknown>;
}

// @types/node hides these behind the flag that they need.
interface SourceTextModule {
  link(
    linker: (specifier: string, from: { identifier: string }) => SourceTextModule,
  ): Promise<void>;
  evaluate(): Promise<void>;
  readonly namespace: Record<string, unknown>;
}
const { SourceTextModule } = vm as unknown as {
  SourceTextModule: new (
    source: string,
    options: { context: vm.Context; identifier: string },
  ) => SourceTextModule;
};

/** The exports of the module at `path`, relative to the tree's root. */
export async function loadInBareRealm(path: string): Promise<Record<string, unknown>> {
  const context = vm.createContext({
    TextEncoder,
    TextDecoder,
    atob,
    crypto: { getRandomValues: crypto.getRandomValues.bind(crypto) },
  });
  const modules = new Map<string, SourceTextModule>();
  const load = (file: string): SourceTextModule => {
    const known = modules.get(file);
    if (known !== undefined) return known;
    const module = new SourceTextModule(readFileSync(file, "utf8"), { context, identifier: file });
    modules.set(file, module);
    return module;
  };
  const entry = load(join(root, path));
  await entry.link((specifier, { identifier }) => load(locate(specifier, identifier)));
  await entry.evaluate();
  return entry.namespace;
}

/** Resolves as a browser's bundler would. */
function locate(specifier: string, from: string): string {
  if (specifier.startsWith(".")) return resolve(dirname(from), specifier);
  if (specifier.startsWith("#")) return join(root, targetOf(root, "imports", specifier));
  const [, name = "", rest = ""] = /^((?:@[^/]+\/)?[^/]+)(.*)$/.exec(specifier) ?? [];
  if (specifier.startsWith("node:")) throw new Error(`${from} imports ${specifier}`);
  const folder = join(root, "node_modules", name);
  return join(folder, targetOf(folder, "exports", `.${rest}`));
}

function targetOf(folder: string, field: "imports" | "exports", key: string): string {
  const manifest = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as Manifest;
  const table = manifest[field];
  const exact = pick(table[key]);
  if (exact !== undefined) return exact;
  for (const [pattern, value] of Object.entries(table)) {
    const [prefix = "", suffix] = pattern.split("*");
    if (suffix === undefined || !key.startsWith(prefix) || !key.endsWith(suffix)) continue;
    const middle = key.slice(prefix.length, key.length - suffix.length);
    const target = pick(value)?.replace("*", middle);
    if (target !== undefined) return target;
  }
  throw new Error(`${folder} has no ${key}`);
}

/** The first target whose conditions hold. */
function pick(value: unknown): string | undefined {
  if (typeof value === "string") return value;
  if (typeof value !== "object" || value === null) return undefined;
  for (const [condition, target] of Object.entries(value)) {
    const found = CONDITIONS.has(condition) ? pick(target) : undefined;
    if (found !== undefined) return found;
  }
  return undefined;
}
