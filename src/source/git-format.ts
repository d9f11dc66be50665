import { createHash } from 'node:crypto';
import { WireError } from '#ports/wire-error.ts';

export type ObjectType = 'commit' | 'tree' | 'blob' | 'tag';

/** An object as git hashes it, without its header. */
export interface GitObject {
  readonly type: ObjectType;
  readonly bytes: Uint8Array;
}

export interface TreeLine {
  readonly mode: string;
  readonly name: string;
  readonly oid: string;
}

export const EMPTY_TREE = '4b825dc642cb6eb9a060e54bf8d69288fbee4904';
export const FOLDER_MODE = '40000';
const OID_BYTES = 20;

/** SHA-1 over type, length and bytes: the name of the object. */
export function oidOf({ type, bytes }: GitObject): string {
  return createHash('sha1').update(`${type} ${bytes.length}\0`).update(bytes).digest('hex');
}

/** A tree's bytes from its lines, in git's order: a folder sorts as if its name ended with a slash. */
export function encodeTree(lines: readonly TreeLine[]): Uint8Array {
  const keyed = lines.map((line) => ({ line, key: Buffer.from(line.mode === FOLDER_MODE ? `${line.name}/` : line.name) }));
  const parts: Buffer[] = [];
  for (const { line } of keyed.toSorted((a, b) => Buffer.compare(a.key, b.key))) {
    parts.push(Buffer.from(`${line.mode} ${line.name}\0`), Buffer.from(line.oid, 'hex'));
  }
  return Buffer.concat(parts);
}

/** Throws WireError GIT_DAMAGED for bytes that are no tree. */
export function decodeTree(bytes: Uint8Array): readonly TreeLine[] {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const lines: TreeLine[] = [];
  for (let at = 0; at < text.length;) {
    const space = text.indexOf(0x20, at);
    const end = text.indexOf(0, at);
    if (space < 0 || end < space || end + OID_BYTES >= text.length) throw damaged('a tree');
    lines.push({
      mode: text.toString('latin1', at, space).replace(/^0/, ''),
      name: text.toString('utf8', space + 1, end),
      oid: text.toString('hex', end + 1, end + 1 + OID_BYTES),
    });
    at = end + 1 + OID_BYTES;
  }
  return lines;
}

/** The tree of a commit. Throws WireError GIT_DAMAGED for bytes that are no commit. */
export function treeOfCommit(bytes: Uint8Array): string {
  const [, tree] = /^tree ([0-9a-f]{40})\n/.exec(Buffer.from(bytes).toString('latin1', 0, 64)) ?? [];
  if (tree === undefined) throw damaged('a commit');
  return tree;
}

export interface CommitText {
  readonly tree: string;
  readonly parents: readonly string[];
  readonly message: string;
  /** Seconds since 1970. */
  readonly seconds: number;
}

/** Whose name stands on commits that the engine makes of its own. */
const COMMITTER = 'Headgate <headgate@localhost>';

export function encodeCommit({ tree, parents, message, seconds }: CommitText): Uint8Array {
  const who = `${COMMITTER} ${seconds} +0000`;
  const head = [`tree ${tree}`, ...parents.map((parent) => `parent ${parent}`), `author ${who}`, `committer ${who}`];
  return Buffer.from(`${head.join('\n')}\n\n${message}\n`);
}

export function damaged(what: string): WireError {
  return new WireError('GIT_DAMAGED', 'never', `${what} of the repository cannot be read`);
}
