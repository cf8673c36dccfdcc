import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { describe, it } from "node:test";
import { FileTree } from "../../image/file-tree.ts";
import { addNpmProject, readPackage } from "../../image/npm-project.ts";
import { temporaryFolder } from "../support/folder.ts";
import { refusesImage } from "../support/image-error.ts";

const folder = temporaryFolder("npm");
const noNpm = spawnSync("npm", ["--version"]).status === 0 ? false : "npm is not there";
const packageOf = (name: string, version = "1.0.0", rest: object = {}) =>
  JSON.stringify({ name, version, ...rest });

/** A project with an installed tree; `packages` goes into its lock file. */
function project(name: string, packages: Readonly<Record<string, object>> = {}): string {
  const write = (file: string, content: string) => folder.write(`${name}/${file}`, content);
  write("package.json", packageOf("app", "2.0.0", { main: "dist/main.js", files: ["dist"] }));
  write("dist/main.js", "");
  write("src/main.ts", "");
  write("README.md", "");
  for (const other of ["a", "b", "a/node_modules/b", "a/node_modules/dev", "both", "dev"]) {
    write(`node_modules/${other}/package.json`, packageOf(other.replace(/.*\//, "")));
    write(`node_modules/${other}/index.js`, "");
  }
  write("node_modules/.bin/tool", "");
  const locked = {
    "": { name: "app", version: "2.0.0" },
    "node_modules/a": { version: "1.0.0" },
    "node_modules/a/node_modules/b": { version: "1.0.0" },
    "node_modules/a/node_modules/dev": { version: "1.0.0", dev: true },
    "node_modules/b": { version: "1.0.0" },
    "node_modules/both": { version: "1.0.0", devOptional: true },
    "node_modules/dev": { version: "1.0.0", dev: true },
    "node_modules/elsewhere": { version: "1.0.0", optional: true },
    "node_modules/elsewhere-too": { version: "1.0.0", devOptional: true },
    ...packages,
  };
  write("package-lock.json", JSON.stringify({ lockfileVersion: 3, packages: locked }));
  return `${folder.path}/${name}`;
}

function filesOf(path: string): readonly string[] {
  const tree = new FileTree();
  addNpmProject(tree, "app", path);
  return tree
    .entries()
    .filter(([, { kind }]) => kind === "file")
    .map(([name]) => name);
}

describe("an npm project", { skip: noNpm }, () => {
  it("brings what npm publishes, and its installed packages for production", () => {
    assert.deepEqual(filesOf(project("plain")), [
      "app/README.md",
      "app/dist/main.js",
      "app/node_modules/a/index.js",
      "app/node_modules/a/node_modules/b/index.js",
      "app/node_modules/a/node_modules/b/package.json",
      "app/node_modules/a/package.json",
      "app/node_modules/b/index.js",
      "app/node_modules/b/package.json",
      "app/node_modules/both/index.js",
      "app/node_modules/both/package.json",
      "app/package.json",
    ]);
  });

  for (const [what, packages, message] of [
    [
      "a package that is not installed",
      { "node_modules/c": { version: "1.0.0" } },
      /not installed/,
    ],
    ["a package of another version", { "node_modules/b": { version: "1.0.1" } }, /version 1\.0\.1/],
    ["a package of a workspace", { "node_modules/w": { link: true } }, /outside of node_modules/],
    ["a package beside the project", { "../other": { version: "1.0.0" } }, /outside of/],
    ["a path out of it", { "node_modules/../../x": { version: "1.0.0" } }, /outside of/],
  ] as const) {
    it(`with ${what} is refused`, () => {
      const path = project(what.replaceAll(" ", "-"), packages);
      refusesImage("unusable-input", () => filesOf(path), message);
    });
  }

  it("without a lock file, or with an old one, is refused", () => {
    folder.write("unlocked/package.json", packageOf("app"));
    refusesImage("unusable-input", () => filesOf(`${folder.path}/unlocked`), /no package-lock/);
    folder.write("unlocked/package-lock.json", '{"dependencies":{}}');
    refusesImage("unusable-input", () => filesOf(`${folder.path}/unlocked`), /version 1/);
    folder.write("unlocked/package-lock.json", "{");
    refusesImage("unusable-input", () => filesOf(`${folder.path}/unlocked`), /no JSON/);
  });

  it("that npm does not pack is refused", () => {
    folder.write("nameless/package.json", "{}");
    refusesImage("unusable-input", () => filesOf(`${folder.path}/nameless`), /does not pack/);
  });
});

describe("a package.json", () => {
  it("gives name, version and main where they are text", () => {
    folder.write("facts/package.json", '{"name":"n","version":1,"main":"m.js"}');
    assert.deepEqual(readPackage(`${folder.path}/facts`), { name: "n", main: "m.js" });
  });

  it("that is absent gives nothing, and one that is none is refused", () => {
    assert.deepEqual(readPackage(`${folder.path}/absent`), {});
    folder.write("list/package.json", "null");
    refusesImage("unusable-input", () => readPackage(`${folder.path}/list`), /no JSON object/);
  });
});
