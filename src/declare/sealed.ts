import type { Place } from '#kit/diagnostics.ts';
import { Secret, secretText } from '#kit/secret.ts';
import type { OpenedSecret } from '#ports/secrets.ts';
import { isPersonal, resolve, type Reference, type Template } from './references.ts';
import { noteTold, readFor, referenceFacts, reportMissing, type Rendering } from './render.ts';

/** The secrets of a declaration, as rendering asks for them. */
export interface RenderSecrets {
  /** By the git blob of the ciphertext. */
  of(oid: string): OpenedSecret;
  /** fleet.yaml names an identity: without one no reference can ever be opened, which is a mistake. */
  readonly identityNamed: boolean;
  /** `secrets.render`, null when fleet.yaml names none. */
  readonly renderKey: OpenedSecret | null;
}

/** What a text or a file is for one device. A `mistake` was reported. */
export type Opened =
  | { readonly kind: 'opened'; readonly secret: Secret; readonly oid: string }
  | { readonly kind: 'sealed'; readonly why: string }
  | { readonly kind: 'mistake' };

export type Made = Opened | { readonly kind: 'text'; readonly text: string };

type AgeReference = Extract<Reference, { kind: 'age' }>;

/** Where a text stands: `told` when what is in it is no part of the group's release, whatever its path says. */
export interface TextSource {
  readonly told: boolean;
  placeOf(reference: Reference): Place | undefined;
}

/** A text with its references resolved for this device. It is a secret as a whole as soon as one reference in it is. */
export function makeText(template: Template, source: TextSource, rendering: Rendering): Made {
  const plain = resolve(template, referenceFacts(rendering));
  noteTold(template.references, rendering);
  const ages = template.references.filter((reference) => reference.kind === 'age');
  const missing = plain.missing.filter((reference) => reference.kind !== 'age');
  for (const reference of missing) {
    const place = source.placeOf(reference);
    if (place !== undefined) reportMissing(reference, place, rendering);
  }
  if (ages.length === 0) return missing.length > 0 ? { kind: 'mistake' } : { kind: 'text', text: plain.text };
  const opened = new Map(ages.map((reference) => [reference, textOf(reference, source, rendering)]));
  const all = [...opened.values()];
  if (missing.length > 0 || all.some((one) => one.kind === 'mistake')) return { kind: 'mistake' };
  const sealed = all.find((one) => one.kind === 'sealed');
  if (sealed !== undefined) return sealed;
  const text = template.parts.map((part) => {
    if (typeof part === 'string') return part;
    const secret = part.kind === 'age' ? opened.get(part) : undefined;
    return secret?.kind === 'text'
      ? secret.text
      : resolve({ source: '', parts: [part], references: [part] }, referenceFacts(rendering)).text;
  });
  return { kind: 'opened', secret: new Secret(new TextEncoder().encode(text.join(''))), oid: '' };
}

type OpenedText = { readonly kind: 'text'; readonly text: string } | Extract<Opened, { kind: 'sealed' | 'mistake' }>;

function textOf(reference: AgeReference, source: TextSource, rendering: Rendering): OpenedText {
  const place = source.placeOf(reference);
  const opened = openFor(reference, { place, told: source.told }, rendering);
  if (opened.kind !== 'opened') return opened;
  const text = secretText(opened.secret);
  if (text !== null) return { kind: 'text', text };
  if (place !== undefined) {
    const summary = `what \`${reference.source}\` holds is no text, and stands in a text`;
    rendering.world.mistake(rendering.device.id, { code: 'SECRET_NOT_TEXT', place, words: { summary } });
  }
  return { kind: 'mistake' };
}

/** The file that `${age:…}` means for this device, opened. */
export function openFor(
  reference: AgeReference,
  at: { readonly place: Place | undefined; readonly told: boolean },
  rendering: Rendering,
): Opened {
  const { world, device } = rendering;
  const { place } = at;
  const mistake = (code: string, summary: string, fix?: string): Opened => {
    if (place !== undefined) world.mistake(device.id, { code, place, words: { summary, fix } });
    return { kind: 'mistake' };
  };
  const path = resolve(reference.path, referenceFacts(rendering));
  if (path.missing.length > 0) {
    for (const missing of path.missing) if (place !== undefined) reportMissing(missing, place, rendering);
    return { kind: 'mistake' };
  }
  noteTold(reference.path.references, rendering);
  const personal = isPersonal(reference.path);
  const found = readFor(path.text, { world, personal });
  if (!found.ok) {
    const named = reference.path.references.length === 0 ? found.error.summary : `${found.error.summary}, which ${device.id} needs`;
    return mistake(found.error.code, named, found.error.fix);
  }
  const { oid } = found.value;
  rendering.used.add(oid);
  if (personal || at.told) rendering.told.set(`secret ${reference.path.source}`, oid);
  if (!world.secrets.identityNamed) {
    const fix = 'add `secrets: { recipients: keys/age.txt, identity: "${env:AGE_IDENTITY}" }`';
    return mistake('NO_IDENTITY', `fleet.yaml names no age identity with which \`${reference.source}\` could be opened`, fix);
  }
  const opened = world.secrets.of(oid);
  if (opened.kind === 'opened') return { kind: 'opened', secret: opened.secret, oid };
  return opened.code === 'SEALED' ? { kind: 'sealed', why: opened.message } : mistake(opened.code, opened.message);
}
