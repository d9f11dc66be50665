import type { Json } from '#kit/canonical.ts';
import { err, ok, type Result } from '#kit/result.ts';
import type { Content } from '#model/declared.ts';
import { isJsonObject } from '#model/shadow.ts';
import type { DeviceFacts, ExpectedItem, FamilyProblem, PinnedItem } from '#ports/family.ts';
import type { BundleManifest } from './bundle-manifest.ts';
import type { BundleProblem } from './bundle-problem.ts';
import { readBundle } from './bundle.ts';
import { canCall, mongooseOptions, otaOver, type Ota } from './options.ts';
import { firmwareText, readFirmwareName } from './wire.ts';

/** What a declared firmware says to plan and driver. */
export interface FirmwareFacts {
  readonly ota: Ota;
  /** Whether the board can be called over its connection. */
  readonly calls: boolean;
  /** The platform that a bundle for it must have. */
  readonly platform: string;
}

/** What the board must report; a bundle that it would not take is a mistake of the fleet repo. */
export function expectationOf(device: DeviceFacts, pin: PinnedItem): Result<ExpectedItem, FamilyProblem> {
  const what = `the ${pin.item} of ${device.id}`;
  if (pin.item !== 'firmware' && pin.item !== 'firmware.host')
    return problem('UNKNOWN_ITEM', `a board with Mongoose OS carries no ${pin.item}`, 'pin firmware, or firmware.host');
  if (pin.content === null || pin.artifact === null)
    return problem('CONTENT_MISSING', `${what} has no content`, 'write name@version of a kind: Artifact');
  const platform = platformOf(device, pin.item);
  if (platform === null)
    return problem(
      'HOST_UNREPORTED',
      `nothing says where ${device.id} reports the firmware of its host`,
      'add options: { host: { reported: /POINTER } } or { host: { method: NAME } } as its module has it',
    );
  const named = namedBy(what, { pin: { ...pin.artifact, content: pin.content }, platform });
  if (!named.ok) return named;
  const type = device.connectionType ?? null;
  const facts: FirmwareFacts = { ota: otaOver(mongooseOptions(device.options), type), calls: canCall(type), platform };
  return ok({ value: named.value, version: pin.artifact.version, facts: facts as unknown as Json, content: pin.content });
}

function problem(code: string, summary: string, fix: string): Result<never, FamilyProblem> {
  return err({ code, summary, fix });
}

/** Of the board, or of what is behind it; null where nobody says how that is seen. */
function platformOf(device: DeviceFacts, item: 'firmware' | 'firmware.host'): string | null {
  const { platform, host } = mongooseOptions(device.options);
  if (item === 'firmware') return platform ?? device.model;
  return host === null || (host.reported === null && host.method === null) ? null : host.platform;
}

interface Pinned {
  readonly pin: { readonly version: string; readonly reportsAs: string | null; readonly content: Content };
  readonly platform: string;
}

/** By the manifest where the bytes lie in the repo, else by what `reportsAs` says of them. */
function namedBy(what: string, { pin, platform }: Pinned): Result<string, FamilyProblem> {
  const { content, reportsAs, version } = pin;
  const said = reportsAs === null ? null : readFirmwareName(reportsAs);
  if (reportsAs !== null && said === null)
    return problem(
      'BUILD_UNKNOWN',
      `reportsAs of ${what} is no version with a build id`,
      'write "VERSION BUILD_ID" as manifest.json has them',
    );
  if (content.kind !== 'bytes') {
    if (said !== null) return ok(firmwareText(said));
    return problem(
      'BUILD_UNKNOWN',
      `the bundle of ${what} does not lie in the repo, so its build is not known`,
      'write reportsAs: "VERSION BUILD_ID" as manifest.json has them',
    );
  }
  const manifest = manifestOf(content.bytes);
  if (!manifest.ok) return problem('BAD_BUNDLE', `${content.name}, ${what}: ${manifest.error.text}`, 'build the bundle again');
  const { version: is, buildId, platform: its } = manifest.value;
  if (its.toLowerCase() !== platform.toLowerCase())
    return problem(
      'WRONG_PLATFORM',
      `${content.name} is for platform ${its}, and ${what} takes ${platform}`,
      'pin the bundle of its platform, or name that in options: { platform: … }',
    );
  const value = firmwareText({ version: is, buildId });
  if (readFirmwareName(value) === null)
    return problem('BAD_VERSION', `${content.name} has blanks in its version or build id`, 'build the bundle without');
  if (said !== null && firmwareText(said) !== value)
    return problem(
      'WRONG_VERSION',
      `${content.name} is ${value}, and reportsAs says otherwise`,
      'leave reportsAs out: the manifest says it',
    );
  if (said === null && version !== is && !version.startsWith(`${is}-`))
    return problem(
      'WRONG_VERSION',
      `${content.name} is version ${is}, and ${version} is declared`,
      `call it ${is}, or ${is}-… where it is one of several builds`,
    );
  return ok(value);
}

/** A bundle is read once, however many boards are told to carry it. */
const manifests = new WeakMap<Uint8Array, Result<BundleManifest, BundleProblem>>();

/** The manifest of a bundle whose every sum holds. */
export function manifestOf(bytes: Uint8Array): Result<BundleManifest, BundleProblem> {
  const known = manifests.get(bytes);
  if (known !== undefined) return known;
  const bundle = readBundle(bytes);
  const read = bundle.ok ? ok(bundle.value.manifest) : bundle;
  manifests.set(bytes, read);
  return read;
}

/** The facts of a declared firmware; null for what another family or version wrote. */
export function readFirmwareFacts(facts: Json): FirmwareFacts | null {
  if (!isJsonObject(facts)) return null;
  const { ota, calls, platform } = facts;
  if ((ota !== 'shadow' && ota !== 'rpc' && ota !== 'mdash') || typeof platform !== 'string') return null;
  return { ota, calls: calls === true, platform };
}
