import type { Json } from '#kit/canonical.ts';
import { crc32Hex, sha256 } from '#kit/digest.ts';
import { err, ok, type Result } from '#kit/result.ts';
import { digest } from '#model/ids.ts';
import type { DeviceFacts, ExpectedItem, FamilyProblem, PinnedItem } from '#ports/family.ts';
import { limitProblems, renderConfig } from './config.ts';
import { inSeries, type SeriesConfig } from './config-series.ts';
import { configWarnings } from './config-warnings.ts';
import { ownGuards } from './guards.ts';
import { parseFirmwareImage } from './image.ts';
import { objectOf } from './json.ts';
import { sealedExpectation } from './secrets-config.ts';
import { trustExpectation } from './trust.ts';
import { compareVersions, parseVersion, seriesText, versionText } from './versions.ts';
import { configName, configValue, folderName } from './wire.ts';

/** What a report must show of a pinned item, and the bytes that bring it about. */
export function expectationOf(device: DeviceFacts, pin: PinnedItem): Result<ExpectedItem, FamilyProblem> {
  if (pin.item === 'firmware') return firmwareExpectation(device, pin);
  if (pin.item === 'config') return configExpectation(device, pin);
  if (pin.item === 'trust') return trustExpectation(device, pin);
  return err({
    code: 'UNSUPPORTED_ITEM',
    summary: `a CANedge has no ${pin.item} that can be pinned`,
    fix: 'pin firmware, config or trust',
  });
}

function firmwareExpectation(device: DeviceFacts, pin: PinnedItem): Result<ExpectedItem, FamilyProblem> {
  const content = pin.content;
  if (content === null)
    return err({ code: 'FIRMWARE_MISSING', summary: 'a firmware pin needs an image', fix: 'give the artifact version a from:' });
  const written = pin.artifact?.reportsAs ?? pin.artifact?.version ?? null;
  const named = written === null ? undefined : parseVersion(written);
  if (written !== null && named === undefined) {
    return err({
      code: 'FIRMWARE_VERSION',
      summary: `${JSON.stringify(written)} is no CANedge firmware version`,
      fix: 'write three numbers as the device reports them, such as 01.09.03',
    });
  }
  if (content.kind !== 'bytes') {
    if (named === undefined)
      return err({ code: 'FIRMWARE_VERSION', summary: 'a firmware that is not in the repo needs an artifact version' });
    const facts = { version: versionText(named), series: seriesText(named), model: null, size: content.size };
    return ok({ value: facts.version, version: facts.version, facts, content });
  }
  const image = parseFirmwareImage(content.bytes);
  if (!image.ok) {
    return err({
      code: 'FIRMWARE_IMAGE',
      summary: `${content.name} is no CANedge firmware: ${image.error.message}`,
      fix: 'unpack the zip and use its firmware.bin',
    });
  }
  const { model, version, series } = image.value;
  if (model.name !== device.model) {
    return err({
      code: 'FIRMWARE_WRONG_MODEL',
      summary: `${content.name} is for a ${model.name}, device ${device.id} is a ${device.model}`,
    });
  }
  if (named !== undefined && versionText(named) !== version) {
    return err({ code: 'FIRMWARE_VERSION_MISMATCH', summary: `${content.name} holds ${version}, the artifact says ${versionText(named)}` });
  }
  return ok({ value: version, version, facts: { version, series, model: model.name, size: content.bytes.length }, content });
}

function configExpectation(device: DeviceFacts, given: PinnedItem): Result<ExpectedItem, FamilyProblem> {
  const fitted = inSeries(device, given);
  if (!fitted.ok) return fitted;
  const { series, pin } = fitted.value;
  const rendered = renderConfig(pin.document);
  if (!rendered.ok) return err({ code: rendered.error.code, summary: `config of device ${device.id}: ${rendered.error.message}` });
  const limit = limitProblems(pin.document)[0];
  if (limit !== undefined) return err({ code: 'CONFIG_REFUSED_BY_DEVICE', summary: `config of device ${device.id}: ${limit}` });
  const expected =
    pin.secrets !== undefined && pin.secrets.size > 0
      ? sealedExpectation(device, pin, { series, folder: folderName(device), secrets: pin.secrets })
      : ok(plainExpectation(device, pin, { series, bytes: rendered.value }));
  return expected.ok ? ok(withRemarks(expected.value, device, fitted.value)) : expected;
}

function plainExpectation(
  device: DeviceFacts,
  pin: PinnedItem,
  { series, bytes }: { readonly series: string; readonly bytes: Uint8Array },
): ExpectedItem {
  const crc = crc32Hex(bytes);
  const value = configValue(series, crc, crc);
  const guards = ownGuards(pin.document, device.model).map(({ code, text }): Json => ({ code, text }));
  return {
    value,
    version: pin.artifact?.version ?? value,
    facts: { series, crc, guards },
    content: { kind: 'bytes', name: configName(series), bytes, size: bytes.length, digest: digest(sha256(bytes)) },
  };
}

/** What is worth saying of a config that the device takes: how it was migrated, and what it will do without (§4.2). */
function withRemarks(expected: ExpectedItem, device: DeviceFacts, config: SeriesConfig): ExpectedItem {
  const { migratedFrom, notes, pin } = config;
  const warnings = [
    ...notes.map((note): FamilyProblem => ({ severity: 'warning', code: 'CONFIG_MIGRATED', summary: `config migrated from ${note}` })),
    ...configWarnings(pin.document, device.model).map((text): FamilyProblem => ({
      severity: 'warning',
      code: 'CONFIG_WARNING',
      summary: text,
    })),
  ];
  const told: ExpectedItem = warnings.length === 0 ? expected : { ...expected, warnings };
  if (migratedFrom === null) return told;
  return { ...told, facts: { ...objectOf(told.facts), migrated: { from: migratedFrom, notes } } };
}

/** Two spellings of one version are the same version. */
export function sameVersion(a: string, b: string): boolean {
  return compareVersions(a, b) === 0;
}
