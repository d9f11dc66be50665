import type { Json } from '#kit/canonical.ts';
import { isJsonObject, type JsonObject } from '#model/shadow.ts';
import { HubError } from './errors.ts';

/** True, false, or neither: a comparison with a property that is not there. */
type Truth = boolean | undefined;
type Test = (twin: JsonObject) => Truth;

/**
 * The part of the query language that looks for twins (docs/protocols/shadow-devices.md §8.5): `SELECT * FROM devices`, with
 * `WHERE` of comparisons, IN, IS_DEFINED, AND, OR, NOT and brackets. Throws HubError ArgumentInvalid for anything else.
 */
export function parseQuery(text: string, undefinedIs: 'unknown' | 'false'): (twin: JsonObject) => boolean {
  const parser = new Parser(text, undefinedIs === 'false' ? false : undefined);
  parser.words('SELECT', '*', 'FROM', 'devices');
  const test: Test = parser.took('WHERE') ? parser.either() : () => true;
  parser.end();
  return (twin) => test(twin) === true;
}

/** A text ends at the first quote of its kind that no backslash precedes. */
const TOKEN = /\s*(?:('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")|(-?\d+(?:\.\d+)?)|(<=|>=|!=|<>|[=<>(),*[\].])|([A-Za-z_$][\w$-]*))/y;

class Parser {
  readonly #tokens: readonly string[];
  readonly #unknown: Truth;
  #at = 0;

  constructor(text: string, unknown: Truth) {
    this.#unknown = unknown;
    const tokens: string[] = [];
    const pattern = new RegExp(TOKEN);
    while (pattern.lastIndex < text.trimEnd().length) {
      const match = pattern.exec(text);
      if (match === null) throw bad('there is something that cannot stand in a query');
      tokens.push(match[0].trim());
    }
    this.#tokens = tokens;
  }

  took(word: string): boolean {
    const same = this.#tokens[this.#at]?.toUpperCase() === word.toUpperCase();
    if (same) this.#at += 1;
    return same;
  }

  words(...words: readonly string[]): void {
    for (const word of words) if (!this.took(word)) throw bad(`${word} is expected`);
  }

  end(): void {
    if (this.#at < this.#tokens.length) throw bad(`${this.#tokens[this.#at] ?? ''} is not expected`);
  }

  either(): Test {
    const left = this.#both();
    if (!this.took('OR')) return left;
    const right = this.either();
    return (twin) => {
      const [a, b] = [left(twin), right(twin)];
      return a === true || b === true ? true : a === undefined || b === undefined ? undefined : false;
    };
  }

  #both(): Test {
    const left = this.#one();
    if (!this.took('AND')) return left;
    const right = this.#both();
    return (twin) => {
      const [a, b] = [left(twin), right(twin)];
      return a === false || b === false ? false : a === undefined || b === undefined ? undefined : true;
    };
  }

  #one(): Test {
    if (this.took('NOT')) {
      const inner = this.#one();
      return (twin) => {
        const truth = inner(twin);
        return truth === undefined ? undefined : !truth;
      };
    }
    if (this.took('(')) {
      const inner = this.either();
      this.words(')');
      return inner;
    }
    if (this.took('IS_DEFINED')) {
      this.words('(');
      const path = this.#path();
      this.words(')');
      return (twin) => valueIn(twin, path) !== undefined;
    }
    return this.#comparison();
  }

  #comparison(): Test {
    const path = this.#path();
    const unknown = this.#unknown;
    const against = (compare: (value: Json) => boolean): Test => {
      return (twin) => {
        const value = valueIn(twin, path);
        return value === undefined ? unknown : compare(value);
      };
    };
    if (this.took('IN')) {
      this.words('[');
      const values = [this.#literal()];
      while (this.took(',')) values.push(this.#literal());
      this.words(']');
      return against((value) => values.some((one) => one === value));
    }
    const operator = this.#tokens[this.#at] ?? '';
    this.#at += 1;
    const compare = COMPARE[operator];
    if (compare === undefined) throw bad('a comparison is expected');
    const literal = this.#literal();
    return against((value) => compare(value, literal));
  }

  /** `properties.reported.fw.version`, or with brackets for names that are none: `tags['a b']`. */
  #path(): readonly string[] {
    const keys = [this.#name()];
    for (;;) {
      if (this.took('.')) keys.push(this.#name());
      else if (this.took('[')) {
        const key = this.#literal();
        if (typeof key !== 'string') throw bad('a name is expected');
        keys.push(key);
        this.words(']');
      } else return keys;
    }
  }

  #name(): string {
    const name = this.#tokens[this.#at] ?? '';
    if (!/^[A-Za-z_$]/.test(name)) throw bad('a name is expected');
    this.#at += 1;
    return name;
  }

  #literal(): string | number | boolean {
    const token = this.#tokens[this.#at] ?? '';
    this.#at += 1;
    if (/^['"]/.test(token)) return unescaped(token.slice(1, -1));
    if (/^-?\d/.test(token)) return Number(token);
    if (/^(true|false)$/i.test(token)) return token.toLowerCase() === 'true';
    throw bad('a value is expected');
  }
}

/** The escapes that the language has, and no others (docs/protocols/shadow-devices.md §8.5). */
function unescaped(text: string): string {
  return text.replaceAll(/\\(?:(['"\\])|u([0-9A-Fa-f]{4})|)/g, (_all, mark: string | undefined, code: string | undefined) => {
    if (code !== undefined) return String.fromCharCode(parseInt(code, 16));
    if (mark === undefined) throw bad('there is an escape that the language does not have');
    return mark;
  });
}

const COMPARE: Readonly<Record<string, (value: Json, literal: string | number | boolean) => boolean>> = {
  '=': (value, literal) => value === literal,
  '!=': (value, literal) => value !== literal,
  '<>': (value, literal) => value !== literal,
  '<': (value, literal) => ordered(value, literal) && value < literal,
  '>': (value, literal) => ordered(value, literal) && value > literal,
  '<=': (value, literal) => ordered(value, literal) && value <= literal,
  '>=': (value, literal) => ordered(value, literal) && value >= literal,
};

function ordered(value: Json, literal: string | number | boolean): value is string | number {
  return typeof value === typeof literal && typeof value !== 'boolean';
}

function valueIn(twin: JsonObject, path: readonly string[]): Json | undefined {
  let at: Json | undefined = twin;
  for (const key of path) {
    if (!isJsonObject(at) || !Object.hasOwn(at, key)) return undefined;
    at = at[key];
  }
  return at;
}

function bad(why: string): HubError {
  return new HubError('ArgumentInvalid', `The query cannot be read: ${why}`);
}
