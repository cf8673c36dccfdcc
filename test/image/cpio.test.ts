import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, symlinkSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import fc from "fast-check";
import { encodeCpio } from "../../image/cpio.ts";
import { FileTree } from "../../image/file-tree.ts";
import { temporaryFolder } from "../support/folder.ts";
import { refusesImage } from "../support/image-error.ts";

const numRuns = Number(process.env["FUZZ_RUNS"] ?? 100);
const folder = temporaryFolder("tree");

interface Entry {
  readonly name: string;
  readonly fields: readonly number[];
  readonly content: string;
}

/** Reads an archive by the format's rules, and checks all its padding. */
function decode(pieces: readonly Uint8Array[]): readonly Entry[] {
  const bytes = Buffer.concat(pieces);
  assert.equal(bytes.length % 512, 0);
  const entries: Entry[] = [];
  let at = 0;
  const take = (length: number) => bytes.subarray(at, (at += length));
  const pad = () => assert.ok(take(-at & 3).every((byte) => byte === 0));
  for (;;) {
    assert.equal(take(6).toString("latin1"), "070701");
    const fields = Array.from({ length: 13 }, () => {
      const digits = take(8).toString("latin1");
      assert.match(digits, /^[0-9A-F]{8}$/);
      return Number.parseInt(digits, 16);
    });
    const name = take(fields[11]!);
    assert.equal(name.at(-1), 0);
    pad();
    const content = take(fields[6]!).toString();
    pad();
    const entry = { name: name.subarray(0, -1).toString(), fields, content };
    if (entry.name === "TRAILER!!!") break;
    entries.push(entry);
  }
  assert.ok(bytes.subarray(at).every((byte) => byte === 0));
  return entries;
}

describe("an archive", () => {
  it("holds files, directories, links and devices, owned by root and without a time", () => {
    const tree = new FileTree();
    tree.addFile("bin/tool", "content", 0o755);
    tree.addLink("bin/alias", "tool");
    tree.addDevice("dev/console", 0o600, 5, 1);
    tree.addDirectory("tmp", 0o1777);
    const file = (number: number, mode: number, size: number, name: string, rest = [0, 0]) => [
      number,
      mode,
      0,
      0,
      1,
      0,
      size,
      0,
      0,
      ...rest,
      name.length + 1,
      0,
    ];
    assert.deepEqual(decode(encodeCpio(tree)), [
      { name: "bin", fields: file(1, 0o40755, 0, "bin"), content: "" },
      { name: "bin/alias", fields: file(2, 0o120777, 4, "bin/alias"), content: "tool" },
      { name: "bin/tool", fields: file(3, 0o100755, 7, "bin/tool"), content: "content" },
      { name: "dev", fields: file(4, 0o40755, 0, "dev"), content: "" },
      { name: "dev/console", fields: file(5, 0o20600, 0, "dev/console", [5, 1]), content: "" },
      { name: "tmp", fields: file(6, 0o41777, 0, "tmp"), content: "" },
    ]);
  });

  it("does not depend on the order in which files were added", () => {
    const path = fc.stringMatching(/^[a-e]{1,3}(\/[a-e]{1,2}){0,2}\.f$/);
    const files = fc.uniqueArray(fc.tuple(path, fc.string()), { selector: ([name]) => name });
    const archive = (list: readonly (readonly [string, string])[]) => {
      const tree = new FileTree();
      for (const [name, content] of list) tree.addFile(name, content);
      return Buffer.concat(encodeCpio(tree));
    };
    fc.assert(
      fc.property(files, (list) => {
        assert.deepEqual(archive(list), archive(list.toReversed()));
        const entries = decode(encodeCpio(treeOf(list)));
        assert.deepEqual(
          new Map(
            entries.filter(({ name }) => name.endsWith(".f")).map((e) => [e.name, e.content]),
          ),
          new Map(list),
        );
        // A directory comes before what is in it.
        const seen = new Set<string>(["."]);
        for (const { name } of entries) {
          assert.ok(seen.has(name.includes("/") ? name.slice(0, name.lastIndexOf("/")) : "."));
          seen.add(name);
        }
      }),
      { numRuns },
    );
    function treeOf(list: readonly (readonly [string, string])[]) {
      const tree = new FileTree();
      for (const [name, content] of list) tree.addFile(name, content);
      return tree;
    }
  });

  it("sorts by bytes, not by a language", () => {
    const tree = new FileTree();
    for (const name of ["b", "a/z", "ä", "a-b", "B", "\u{1f600}", "\uffee"]) tree.addFile(name, "");
    const names = decode(encodeCpio(tree)).map(({ name }) => name);
    assert.deepEqual(names, ["B", "a", "a-b", "a/z", "b", "ä", "\uffee", "\u{1f600}"]);
  });

  it("takes names up to what the kernel takes", () => {
    const part = "n".repeat(255);
    const longest = [...Array.from({ length: 15 }, () => part), "n".repeat(255)].join("/");
    assert.equal(longest.length, 4095);
    const tree = new FileTree();
    tree.addFile(longest, "");
    assert.equal(decode(encodeCpio(tree)).at(-1)?.name, longest);
    for (const name of [`${part.slice(1)}/${longest}`, `${part}n`, "ä".repeat(128)]) {
      const longer = new FileTree();
      longer.addFile(name, "");
      refusesImage("unusable-input", () => encodeCpio(longer), /too long/);
    }
  });
});

describe("a tree of files", () => {
  it("copies a folder, and keeps nothing of it but names, contents and who may execute", () => {
    const archive = (name: string, times: number, mode: number) => {
      const root = join(folder.path, name);
      folder.write(`${name}/run.sh`, "echo", 0o711 & mode);
      folder.write(`${name}/deep/er/file`, "text", 0o666 & mode);
      folder.write(`${name}/.hidden`, "");
      mkdirSync(join(root, "empty"));
      symlinkSync("../deep/er/file", join(root, "empty", "link"));
      chmodSync(join(root, "deep"), 0o700);
      utimesSync(join(root, "run.sh"), times, times);
      const tree = new FileTree();
      tree.addFolder("app", root);
      return encodeCpio(tree);
    };
    const first = archive("one", 1_000_000_000, 0o777);
    assert.deepEqual(Buffer.concat(archive("two", 1_500_000_000, 0o700)), Buffer.concat(first));
    assert.deepEqual(
      decode(first).map(({ name, fields, content }) => [name, fields[1]?.toString(8), content]),
      [
        ["app", "40755", ""],
        ["app/.hidden", "100644", ""],
        ["app/deep", "40755", ""],
        ["app/deep/er", "40755", ""],
        ["app/deep/er/file", "100644", "text"],
        ["app/empty", "40755", ""],
        ["app/empty/link", "120777", "../deep/er/file"],
        ["app/run.sh", "100755", "echo"],
      ],
    );
  });

  it("refuses links that lead out of the folder", () => {
    for (const [i, target] of ["/etc/passwd", "../..", "../../x", "a/../../../x"].entries()) {
      const name = `leaving-${i}`;
      folder.write(`${name}/in/file`, "");
      symlinkSync(target, join(folder.path, name, "in", "link"));
      const tree = new FileTree();
      refusesImage(
        "unusable-input",
        () => tree.addFolder("app", join(folder.path, name)),
        /links to/,
      );
    }
  });

  it("takes absolute links in a root file system", () => {
    folder.write("root/usr/lib/file", "");
    symlinkSync("/usr/lib", join(folder.path, "root", "lib"));
    const tree = new FileTree();
    tree.addFolder("rootfs", join(folder.path, "root"));
    assert.deepEqual(tree.find("rootfs/lib"), { kind: "link", mode: 0o777, target: "/usr/lib" });
  });

  it("refuses what is no file, directory or link, and names that are no UTF-8", () => {
    mkdirSync(join(folder.path, "fifo"));
    spawnSync("mkfifo", [join(folder.path, "fifo", "pipe")]);
    refusesImage("unusable-input", () => new FileTree().addFolder("a", join(folder.path, "fifo")));
    const latin = join(folder.path, "latin");
    mkdirSync(latin);
    const name = Buffer.concat([Buffer.from(`${latin}/`), Uint8Array.of(0xe4)]);
    mkdirSync(name);
    refusesImage("unusable-input", () => new FileTree().addFolder("a", latin), /UTF-8/);
  });

  it("refuses a file as a folder", () => {
    const path = folder.write("plain", "");
    refusesImage("unusable-input", () => new FileTree().addFolder("a", path), /no directory/);
  });

  it("refuses a file where a directory is, and below a file", () => {
    const tree = new FileTree();
    tree.addFile("a/b", "");
    refusesImage("unusable-input", () => tree.addFile("a", ""), /directory and a file/);
    refusesImage("unusable-input", () => tree.addFile("a/b/c", ""), /no directory/);
    refusesImage("unusable-input", () => tree.addFile("TRAILER!!!", ""));
  });

  it("knows no path outside of itself", () => {
    for (const path of ["", "/etc", "a//b", "../a", "a/./b", "a/..", "a\0"]) {
      assert.throws(() => new FileTree().addFile(path, ""), RangeError, path);
    }
  });
});
