import type { Json } from '#kit/canonical.ts';
import { isJsonObject, sameJson, type JsonObject } from '#model/shadow.ts';
import type { Format } from './options.ts';
import { readShell, writeShell } from './shell.ts';
import { DELETE } from './wire.ts';

/** One service of a gateway as its definition file has it (docs/protocols/shadow-devices.md §2.3). */
export interface ServiceDefinition {
  readonly key: string;
  readonly format: Format;
  /** Sub-keys that go to the file; null for all. */
  outkeys(): readonly string[] | null;
  /** One-shot: nothing stored, nothing reported. */
  readonly ephemeral: boolean;
  /** Gets the merged value; throws to refuse it, or answers another. */
  validate(value: Json): Json;
  notify(value: Json): void;
}

/** Objects member by member, all else replaced; DELETE and null remove (§2.5). */
export function mergeValue(base: Json | undefined, patch: Json): Json | undefined {
  if (patch === DELETE || patch === null) return undefined;
  if (!isJsonObject(patch)) return patch;
  const merged: Record<string, Json> = {};
  if (isJsonObject(base)) for (const [name, member] of Object.entries(base)) if (member !== undefined) merged[name] = member;
  for (const [name, member] of Object.entries(patch)) {
    const value = mergeValue(merged[name], member ?? null);
    if (value === undefined) delete merged[name];
    else merged[name] = value;
  }
  return merged;
}

/** What must be reported so that `from` becomes `to`: null for what is gone. Undefined when they are the same. */
export function diffValue(from: Json | undefined, to: Json | undefined): Json | undefined {
  if (to === undefined) return from === undefined ? undefined : null;
  if (!isJsonObject(to) || !isJsonObject(from)) return sameJson(from, to) ? undefined : to;
  const patch: Record<string, Json> = {};
  for (const name of new Set([...Object.keys(from), ...Object.keys(to)])) {
    const inner = diffValue(from[name], to[name]);
    if (inner !== undefined) patch[name] = inner;
  }
  return Object.keys(patch).length === 0 ? undefined : patch;
}

/** The file of a service: text on a disk, read again for each event, so that a format's damage shows as it does there (§2.6). */
export class ServiceFile {
  readonly #definition: ServiceDefinition;
  text: string | null = null;

  constructor(definition: ServiceDefinition) {
    this.#definition = definition;
  }

  read(): Json | undefined {
    if (this.text === null) return undefined;
    if (this.#definition.format === 'SHELL') return readShell(this.text);
    return this.#definition.format === 'PLAINTEXT' ? this.text : (JSON.parse(this.text) as Json);
  }

  write(value: Json | undefined): void {
    const { format } = this.#definition;
    const outkeys = this.#definition.outkeys();
    const kept = outkeys === null || !isJsonObject(value) ? value : picked(value, outkeys);
    if (format === 'SHELL') this.text = isJsonObject(kept) ? writeShell(kept) : '\n';
    // Deleting a whole service throws in the writer, and the old file stays (F8).
    else if (kept !== undefined) this.text = format === 'PLAINTEXT' && typeof kept === 'string' ? kept : JSON.stringify(kept);
  }
}

function picked(value: JsonObject, names: readonly string[]): JsonObject {
  return Object.fromEntries(Object.entries(value).filter(([name]) => names.includes(name)));
}
