import fc from 'fast-check';

type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** What may come in the place of an honest report: nothing of it names another version in full. */
export function spoilt(report: Uint8Array): fc.Arbitrary<Uint8Array> {
  const text = new TextDecoder().decode(report);
  const bytes = (value: string): Uint8Array => new TextEncoder().encode(value);
  const document = JSON.parse(text) as Json;
  const leaves = paths(document);
  // Within a name or version another letter makes another name: that is a forgery, which nothing can tell.
  const marks = [...report.keys()].filter((at) => '{}[]"'.includes(text[at] ?? ' '));
  return fc.oneof(
    fc.uint8Array({ maxLength: 300 }),
    fc.json().map(bytes),
    fc.nat(report.length - 1).map((length) => report.slice(0, length)),
    fc.nat(report.length - 1).map((from) => report.slice(from)),
    fc.constant(report),
    fc.constant(bytes(text + text)),
    fc.constant(bytes(`[${text}]`)),
    fc.constantFrom(...leaves).map((path) => bytes(JSON.stringify(without(document, path)))),
    fc
      .tuple(fc.constantFrom(...leaves), fc.constantFrom<Json>(null, true, [], {}, 0, -1, 1e21))
      .map(([path, value]) => bytes(JSON.stringify(put(document, path, value)))),
    fc.tuple(fc.constantFrom(...marks), fc.nat(255)).map(([at, byte]) => report.with(at, byte)),
  );
}

function paths(value: Json, at: readonly string[] = []): readonly (readonly string[])[] {
  if (typeof value !== 'object' || value === null) return [at];
  return [...(at.length === 0 ? [] : [at]), ...Object.entries(value).flatMap(([key, member]) => paths(member, [...at, key]))];
}

function put(value: Json, [key, ...rest]: readonly string[], member: Json): Json {
  if (key === undefined) return member;
  const own = typeof value === 'object' && value !== null ? (value as Readonly<Record<string, Json>>) : {};
  return { ...own, [key]: put(own[key] ?? null, rest, member) };
}

function without(value: Json, [key, ...rest]: readonly string[]): Json {
  const own = typeof value === 'object' && value !== null ? (value as Readonly<Record<string, Json>>) : {};
  const { [key ?? '']: member, ...others } = own;
  return rest.length === 0 ? others : { ...others, [key ?? '']: without(member ?? null, rest) };
}
