import type { Json } from '#kit/canonical.ts';
import type { Content, DeclaredItem } from '#model/declared.ts';
import type { Pin } from './pins.ts';
import { contentOf, fileFor, finish, type Rendering } from './render.ts';

/** `files: { exact: true }`: the files that stay, in the order of their names; all others go. Null: a mistake was reported. */
export function renderExact(pin: Extract<Pin, { kind: 'exact' }>, rendering: Rendering): DeclaredItem | null {
  const { world, device, family } = rendering;
  const own = pin.path === null ? null : fileFor(pin.path, rendering);
  if (pin.path !== null && own === null) return null;
  const fitting = pin.keep.filter(
    (version) => version.family === family.name && (version.models === null || version.models.includes(device.model)),
  );
  // Bytes that could not be found were reported where the artifact stands.
  if (fitting.some((version) => version.content === null)) return null;
  const contents: readonly Content[] = [
    ...(own === null ? [] : [contentOf(own, world)]),
    ...fitting.flatMap((version) => version.content ?? []),
  ];
  const files = contents.map(({ name, digest, size }) => ({ name, digest, size })).toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const document: Json = { exact: true, files };
  return finish(
    { item: pin.item, artifact: null, content: null, document, firmware: rendering.firmware, certificates: [] },
    { place: pin.place, part: `${pin.item} exact` },
    rendering,
  );
}
