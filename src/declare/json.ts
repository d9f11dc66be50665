import type { Json } from '#kit/canonical.ts';

export type JsonText =
  | { readonly ok: true; readonly value: Json }
  | { readonly ok: false; readonly offset: number; readonly summary: string };

/** Nesting beyond this is no config of a device; it guards the stack. */
const DEEPEST = 64;

/** Reads strict JSON. Unlike JSON.parse it says where the mistake is, and refuses a key written twice. */
export function readJson(text: string): JsonText {
  const reader = new Reader(text);
  try {
    const value = reader.value(0);
    reader.space();
    if (reader.at < text.length) throw new Mistake(reader.at, 'something follows the end of the document');
    return { ok: true, value };
  } catch (error) {
    if (error instanceof Mistake) return { ok: false, offset: error.offset, summary: error.message };
    throw error;
  }
}

class Mistake extends Error {
  readonly offset: number;

  constructor(offset: number, message: string) {
    super(message);
    this.offset = offset;
  }
}

const NUMBER = /-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?/y;
const STRING = /"(?:[^"\\]|\\[^])*"/y;
const SPACE = /[ \t\n\r]*/y;

class Reader {
  readonly text: string;
  at = 0;

  constructor(text: string) {
    this.text = text;
  }

  space(): void {
    SPACE.lastIndex = this.at;
    SPACE.exec(this.text);
    this.at = SPACE.lastIndex;
  }

  value(depth: number): Json {
    if (depth > DEEPEST) throw new Mistake(this.at, `nested deeper than ${DEEPEST} levels`);
    this.space();
    const first = this.text[this.at];
    if (first === '{') return this.object(depth);
    if (first === '[') return this.array(depth);
    if (first === '"') return this.string();
    for (const [word, value] of [
      ['true', true],
      ['false', false],
      ['null', null],
    ] as const) {
      if (!this.text.startsWith(word, this.at)) continue;
      this.at += word.length;
      return value;
    }
    const number = this.match(NUMBER);
    if (number === null)
      throw new Mistake(this.at, this.at >= this.text.length ? 'the file ends too early' : `\`${first ?? ''}\` is not JSON here`);
    return Number(number);
  }

  private object(depth: number): Json {
    const entries = new Map<string, Json>();
    this.at += 1;
    for (this.space(); this.text[this.at] !== '}'; this.space()) {
      if (entries.size > 0) this.comma('}');
      this.space();
      const start = this.at;
      const key = this.string();
      if (entries.has(key)) throw new Mistake(start, `\`${key}\` is written twice in one object`);
      this.space();
      if (this.text[this.at] !== ':') throw new Mistake(this.at, 'a `:` is missing');
      this.at += 1;
      entries.set(key, this.value(depth + 1));
    }
    this.at += 1;
    return Object.fromEntries(entries);
  }

  private array(depth: number): Json {
    const items: Json[] = [];
    this.at += 1;
    for (this.space(); this.text[this.at] !== ']'; this.space()) {
      if (items.length > 0) this.comma(']');
      items.push(this.value(depth + 1));
    }
    this.at += 1;
    return items;
  }

  private comma(end: string): void {
    if (this.text[this.at] !== ',') throw new Mistake(this.at, `a \`,\` or \`${end}\` is missing`);
    const comma = this.at;
    this.at += 1;
    this.space();
    if (this.text[this.at] === end) throw new Mistake(comma, 'a comma stands before the end');
  }

  private string(): string {
    const found = this.match(STRING);
    if (found === null)
      throw new Mistake(
        this.at,
        this.at >= this.text.length ? 'the file ends too early' : 'a text in double quotes is missing or not closed',
      );
    try {
      return JSON.parse(found) as string;
    } catch {
      throw new Mistake(this.at - found.length, 'this text holds a control character or an unknown escape');
    }
  }

  private match(pattern: RegExp): string | null {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text);
    if (found === null) return null;
    this.at = pattern.lastIndex;
    return found[0];
  }
}
