import { createHmac } from 'node:crypto';
import { canonicalJson, type Json } from '#kit/canonical.ts';
import { crc32Hex, sha256 } from '#kit/digest.ts';
import { err, ok, type Result } from '#kit/result.ts';
import { Secret } from '#kit/secret.ts';
import type { DeclaredDevice, DeclaredItem } from '#model/declared.ts';
import { digest } from '#model/ids.ts';
import type { Reason } from '#model/reasons.ts';
import type { ReportedDevice } from '#model/reported.ts';
import type { CompleteContext, DeviceFacts, ExpectedItem, FamilyProblem, PinnedItem } from '#ports/family.ts';
import { renderConfig } from './config.ts';
import { readOptions } from './facts.ts';
import { ownGuards } from './guards.ts';
import { objectOf, textAt } from './json.ts';
import { readMemo } from './memo.ts';
import { encryptField, fieldKey, fieldVector, operatorKey, readKpub } from './secrets.ts';
import { fieldProblems, linkFields, plainFields, withEncrypted } from './secrets-fields.ts';
import { configName, configValue } from './wire.ts';

/** What a config with secrets is made of, until the device's public key is known. */
interface ConfigRecipe {
  readonly document: Json;
  readonly secrets: ReadonlyMap<string, Secret>;
  readonly renderKey: Secret;
  readonly series: string;
  readonly model: string;
  /** The folder in upper case: the hardware, whatever its place is called. */
  readonly hardware: string;
}

/** What is shorter could be tried out against the ciphertext in the bucket. */
const SHORTEST_RENDER_KEY = 16;

/** What can be said of a config with secrets before the device has told its public key (docs/protocols/canedge-s3.md §8.3). */
export function sealedExpectation(
  device: DeviceFacts,
  pin: PinnedItem,
  of: { readonly series: string; readonly folder: string; readonly secrets: ReadonlyMap<string, Secret> },
): Result<ExpectedItem, FamilyProblem> {
  const { series, folder, secrets } = of;
  const [problem] = fieldProblems(pin.document, secrets);
  if (problem !== undefined) {
    const { code, message, fix } = problem;
    return err({ code, summary: `config of device ${device.id}: ${message}`, ...(fix === undefined ? {} : { fix }) });
  }
  const { renderKey } = pin;
  if (renderKey === undefined || renderKey === null || renderKey.reveal().length < SHORTEST_RENDER_KEY) {
    const missing = renderKey === undefined || renderKey === null;
    return err({
      code: missing ? 'RENDER_KEY_MISSING' : 'RENDER_KEY_SHORT',
      summary: missing
        ? 'fleet.yaml names no render key, without which equal secrets would be other bytes each time'
        : `the render key has fewer than ${SHORTEST_RENDER_KEY} bytes`,
      fix: 'write 32 random bytes with `headgate secret set secrets/render.age`, and name it: secrets: { render: "${age:secrets/render.age}" }',
    });
  }
  const recipe: ConfigRecipe = { document: pin.document, secrets, renderKey, series, model: device.model, hardware: folder.toUpperCase() };
  return ok({
    value: `${series} ${fingerprint(recipe)}`,
    version: pin.artifact?.version ?? `config-${series}.json`,
    facts: { series, sealed: true },
    content: null,
    secret: new Secret<unknown>(recipe),
  });
}

/** Tells two declarations apart, under the render key: it says nothing to whoever does not have that. */
function fingerprint({ document, secrets, renderKey }: ConfigRecipe): string {
  const texts = plainFields(document, secrets).map(({ path, plain }) => [path, Buffer.from(plain).toString('base64')]);
  return createHmac('sha256', renderKey.reveal())
    .update(canonicalJson([document, texts]))
    .digest('hex')
    .slice(0, 16);
}

type Incomplete = { readonly reason: Reason; readonly evidence: string };

/** The config encrypted to the device's own key: declared, else pinned, else as it is reported the first time. */
export function completeConfig(item: DeclaredItem, context: CompleteContext): Result<DeclaredItem, Incomplete> {
  const { device, reported, pinned } = context;
  const said = reportedKpub(reported);
  const kpub = readOptions(device.options).kpub ?? textAt(pinned, 'kpub') ?? said;
  if (kpub === null) return err({ reason: 'NEVER_REPORTED', evidence: 'its public key (kpub) is needed to encrypt what it is told' });
  if (said !== null && said !== kpub) return err({ reason: 'IDENTITY_MISMATCH', evidence: keyAlarm(said, kpub) });
  return completeFor(item, { kpub });
}

const completed = new WeakMap<Secret<unknown>, { readonly kpub: string; readonly answer: Result<DeclaredItem, Incomplete> }>();

/** The same for a key that is known. Kept by the declared secrets: a pass asks for it several times. */
export function completeFor(item: DeclaredItem, { kpub }: { readonly kpub: string }): Result<DeclaredItem, Incomplete> {
  const recipe = recipeOf(item.secret);
  if (item.secret === undefined || recipe === null) return ok(item);
  const known = completed.get(item.secret);
  if (known?.kpub === kpub) return known.answer;
  const answer = render(item, recipe, kpub);
  completed.set(item.secret, { kpub, answer });
  return answer;
}

/** The device with its config finished for the key in its own heartbeat: what the driver compares the bucket with. */
export function withConfigFor(device: DeclaredDevice, kpub: string | null): DeclaredDevice {
  if (kpub === null || !device.items.some((item) => recipeOf(item.secret) !== null)) return device;
  const items = device.items.map((item) => {
    const answer = completeFor(item, { kpub });
    return answer.ok ? answer.value : item;
  });
  return { ...device, items };
}

function recipeOf(secret: Secret<unknown> | undefined): ConfigRecipe | null {
  return secret === undefined ? null : (secret.reveal() as ConfigRecipe);
}

function render(item: DeclaredItem, recipe: ConfigRecipe, kpub: string): Result<DeclaredItem, Incomplete> {
  const { document, secrets, series, model, hardware } = recipe;
  const key = readKpub(kpub);
  if (!key.ok) return err({ reason: 'UNSUPPORTED', evidence: `its public key ${key.error}: nothing is encrypted to it` });
  const fields = plainFields(document, secrets);
  const digests = fields.map(({ path, plain }) => [path, sha256(plain)] as const);
  const operator = operatorKey({ renderKey: recipe.renderKey.reveal(), hardware, kpub, secrets: digests });
  const { operatorKpub, symmetric } = fieldKey(operator, key.value);
  const values = new Map(fields.map(({ path, plain }) => [path, encryptField(symmetric, fieldVector(symmetric, path, plain), plain)]));
  const encrypted = withEncrypted(document, { secrets, values, operatorKpub });
  const bytes = renderConfig(encrypted);
  if (!bytes.ok) return err({ reason: 'INCOMPATIBLE', evidence: bytes.error.message });
  const crc = crc32Hex(bytes.value);
  const guards = ownGuards(encrypted, model).map(({ code, text }): Json => ({ code, text }));
  const { secret: _secret, ...rest } = item;
  return ok({
    ...rest,
    value: configValue(series, crc, crc),
    facts: { ...objectOf(item.facts), series, crc, guards, kpub, secrets: marksOf(document, recipe) },
    content: {
      kind: 'bytes',
      name: configName(series),
      bytes: bytes.value,
      size: bytes.value.length,
      digest: digest(sha256(bytes.value)),
    },
  });
}

/** So that a later change is told from the same secret encrypted anew (guards.ts). */
function marksOf(document: Json, { secrets, renderKey, hardware }: ConfigRecipe): Json {
  const mark = (text: string | Uint8Array, ...names: readonly string[]): string => {
    const under = names.reduce((hash, name) => hash.update(name).update(Buffer.from([0])), createHmac('sha256', renderKey.reveal()));
    return under.update(text).digest('hex').slice(0, 16);
  };
  const marks = linkFields(document, secrets).map(({ path, plain }) => [path, mark(plain, 'canedge secret', hardware, path)]);
  return { key: mark('', 'canedge secrets'), marks: Object.fromEntries(marks) as Json };
}

function reportedKpub(reported: ReportedDevice | undefined): string | null {
  return reported === undefined ? null : (readMemo(reported).file?.kpub ?? null);
}

/** What the ledger keeps of hardware: the public key that it showed first (failure F15). */
export const kpubPin = {
  of(reported: ReportedDevice): Json {
    const kpub = reportedKpub(reported);
    return kpub === null || !readKpub(kpub).ok ? null : { kpub };
  },
  contradiction(pinned: Json, reported: ReportedDevice, device: DeclaredDevice): string | null {
    const [kpub, said] = [readOptions(device.options).kpub ?? textAt(pinned, 'kpub') ?? null, reportedKpub(reported)];
    return kpub === null || said === null || said === kpub ? null : keyAlarm(said, kpub);
  },
};

function keyAlarm(said: string, kpub: string): string {
  return `ALARM: its public key is ${short(said)}, and ${short(kpub)} is pinned: somebody may be asking for its secrets. A person must look, and declare options.kpub if the device itself was reset`;
}

function short(kpub: string): string {
  return sha256(kpub).slice(0, 12);
}
