/** The second ramdisk: Node and the application, in a root file system of their own. PCR2 measures it. */
import { readFileSync, realpathSync } from "node:fs";
import { posix } from "node:path";
import { type StartCommand, startScript } from "./boot/init-script.ts";
import { parseElf } from "./elf.ts";
import { ImageError } from "./errors.ts";
import { FileTree, ROOT } from "./file-tree.ts";
import type { Architecture } from "./layout.ts";
import { Libraries } from "./libraries.ts";
import { addNpmProject } from "./npm-project.ts";

export interface ApplicationOptions {
  readonly architecture: Architecture;
  /** A directory that is taken as it is, or an npm project. */
  readonly application: { readonly directory: string } | { readonly npmProject: string };
  /** The file that Node starts, inside of the application. */
  readonly start: string;
  readonly arguments: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** Node's executable, whose shared libraries are found beside it on this machine; or a root file system that has it in /usr/bin/node. */
  readonly runtime: { readonly node: string } | { readonly rootFileSystem: string };
}

const NODE = "usr/bin/node";
const APPLICATION = "app";
/** Small files that programs expect of any system. */
const systemFiles: Readonly<Record<string, string>> = {
  "etc/group": "root:x:0:\n",
  "etc/hosts": "127.0.0.1 localhost\n::1 localhost\n",
  "etc/passwd": "root:x:0:0:root:/:/bin/false\n",
};

export interface ApplicationTree {
  readonly tree: FileTree;
  /** Native addons whose libraries are not here, and what they lack, unless their package has one that loads. */
  readonly incompleteAddons: ReadonlyMap<string, readonly string[]>;
}

/**
 * The files of the application.
 *
 * @throws ImageError `unusable-input`.
 */
export function applicationTree(options: ApplicationOptions): ApplicationTree {
  const { architecture, application, runtime, start } = options;
  const tree = new FileTree();
  const libraries = new Libraries(architecture);
  for (const place of ["proc", "sys", "dev"]) tree.addDirectory(`${ROOT}/${place}`);
  if ("rootFileSystem" in runtime) addRootFileSystem(tree, runtime.rootFileSystem, architecture);
  else {
    const node = realpathSync(runtime.node);
    const content = readFileSync(node);
    if (parseElf(content, node).architecture !== architecture) {
      throw new ImageError("unusable-input", `${node}: expected an executable of ${architecture}`);
    }
    libraries.add(node, content);
    tree.addFile(`${ROOT}/${NODE}`, content, 0o755);
  }
  tree.addDirectory(`${ROOT}/tmp`, 0o1777);
  for (const [path, content] of Object.entries(systemFiles)) {
    if (tree.find(`${ROOT}/${path}`) === undefined) tree.addFile(`${ROOT}/${path}`, content);
  }
  const place = `${ROOT}/${APPLICATION}`;
  if ("npmProject" in application) addNpmProject(tree, place, application.npmProject);
  else {
    const isHistory = (inside: string) => inside === ".git";
    tree.addFolder(place, application.directory, (inside) => !isHistory(inside));
  }
  const incompleteAddons =
    "node" in runtime
      ? addLibrariesOfAddons(tree, libraries)
      : new Map<string, readonly string[]>();
  for (const [path, content] of libraries.found) {
    tree.addFile(`${ROOT}${path}`, content, 0o755);
  }
  tree.addFile("start", startScript(startCommand(tree, start, options)), 0o755);
  return { tree, incompleteAddons };
}

function addRootFileSystem(tree: FileTree, folder: string, architecture: Architecture): void {
  const mounted = ["proc", "sys", "dev"];
  tree.addFolder(ROOT, folder, (inside) => !mounted.includes(inside));
  const node = tree.find(`${ROOT}/${NODE}`);
  if (node?.kind !== "file" || parseElf(node.content, NODE).architecture !== architecture) {
    throw new ImageError("unusable-input", `${folder} has no ${NODE} of ${architecture}`);
  }
}

function addLibrariesOfAddons(
  tree: FileTree,
  libraries: Libraries,
): ReadonlyMap<string, readonly string[]> {
  const incomplete = new Map<string, readonly string[]>();
  const packagesThatLoad = new Set<string>();
  for (const [path, entry] of tree.entries()) {
    if (entry.kind !== "file" || !/\.node$|\.so(\.[\d.]+)?$/.test(path)) continue;
    const inside = posix.relative(ROOT, path);
    const missing = libraries.addForAddon(
      `/${inside}`,
      entry.content,
      (other) => tree.find(`${ROOT}${other}`) !== undefined,
    );
    if (missing.length > 0) incomplete.set(inside, missing);
    else if (path.endsWith(".node")) packagesThatLoad.add(packageOf(inside));
  }
  // Packages bring builds for several systems, and need one.
  return new Map([...incomplete].filter(([path]) => !packagesThatLoad.has(packageOf(path))));
}

/** The directory of the package that a file belongs to; the file itself for those of the application. */
function packageOf(path: string): string {
  return /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0] ?? path;
}

function startCommand(
  tree: FileTree,
  start: string,
  { arguments: words, environment }: ApplicationOptions,
): StartCommand {
  const path = posix.join(APPLICATION, start);
  const entry = tree.find(`${ROOT}/${path}`);
  if (entry === undefined || entry.kind === "directory" || !path.startsWith(`${APPLICATION}/`)) {
    throw new ImageError(
      "unusable-input",
      `the start file ${start} is not among the files of the application`,
    );
  }
  return {
    command: [`/${NODE}`, `/${path}`, ...words],
    environment: { HOME: "/", NODE_ENV: "production", PATH: "/usr/bin:/bin", ...environment },
  };
}
