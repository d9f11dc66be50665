import type { DeclaredItem } from '#model/declared.ts';
import type { ReportedDevice, ReportedItem } from '#model/reported.ts';
import type { DeviceFacts, Family, FamilyProblem } from '#ports/family.ts';
import { configDifferences } from './config-fields.ts';
import { confirmationOf } from './confirm.ts';
import { expectationOf, sameVersion } from './expectation.ts';
import { readConfigFacts, readDeclaredConfig } from './facts.ts';
import { CANEDGE_MODELS, S3_MODEL_NAMES } from './models.ts';
import { operationsFor } from './operations.ts';
import optionsSchema from './options.schema.json' with { type: 'json' };
import { readKpub } from './secrets.ts';
import { completeConfig, kpubPin } from './secrets-config.ts';
import { provesTrust, readDeclaredTrust, readReportedTrust, trustAgrees } from './trust.ts';
import { compareVersions, seriesOf } from './versions.ts';
import { lostAfterMs, withdrawalOf } from './withdrawal.ts';
import { DEVICE_ID, firmwareValue, folderName } from './wire.ts';

/** CANedge2 and CANedge3 data loggers over an S3 bucket: docs/protocols/canedge-s3.md. */
export const canedgeFamily: Family = {
  name: 'canedge',
  items: ['trust', 'config', 'firmware'],
  measures: { spaceUsed: 'MiB', spaceTotal: 'MiB', sdLifespanUsed: '%' },
  optionsSchema,
  settingsSchema: null,
  connections: ['s3'],
  models: S3_MODEL_NAMES,
  lint,
  series: seriesOf,
  compareVersions: (a, b) => compareVersions(firmwarePart(a), firmwarePart(b)),
  expectation: expectationOf,
  secretItems: ['config'],
  complete: completeConfig,
  pin: kpubPin,
  agrees,
  differences: configDifferences,
  proves,
  operations: operationsFor,
  confirm: confirmationOf,
  withdrawal: withdrawalOf,
  lostAfterMs,
  attention: null,
  reasons: {
    CONFIG_REFUSED: { class: 'verdict', text: 'the device was online long enough and does not run the config that was offered' },
    TRUST_REFUSED: { class: 'verdict', text: 'the device was online long enough and has not loaded the certificates that were offered' },
    FIRMWARE_NOT_APPLIED: { class: 'verdict', text: 'the device was online long enough and did not take the firmware' },
    BOOTED_BACK: { class: 'verdict', text: 'the device restarted and runs the old firmware' },
    WRONG_RESULT: { class: 'verdict', text: 'the device runs neither what it had nor what was offered' },
    OFFER_REPLACED: { class: 'trouble', text: 'the object that was offered is gone or was changed by somebody else' },
    OFFER_NOT_STORED: { class: 'trouble', text: 'the bucket does not hold what was written' },
    ARTIFACT_UNREACHABLE: { class: 'trouble', text: 'the bytes could not be fetched' },
    BLOB_MISSING: { class: 'trouble', text: 'the bytes to be put back are not in the ledger’s store' },
  },
};

function lint(device: DeviceFacts): readonly FamilyProblem[] {
  const problems: FamilyProblem[] = [];
  const folder = folderName(device);
  if (!DEVICE_ID.test(folder)) {
    const from = device.address !== null ? 'address' : device.serial !== null ? 'serial' : 'id';
    problems.push({
      code: 'CANEDGE_ADDRESS',
      summary: `${from} ${JSON.stringify(folder)} of device ${device.id} names no CANedge`,
      fix: 'give serial: the 8 hex digits of the device, such as 0A1B2C3D',
    });
  } else if (device.address !== null && device.serial !== null && device.serial.toUpperCase() !== device.address.toUpperCase()) {
    problems.push({
      code: 'CANEDGE_ADDRESS',
      summary: `device ${device.id} has serial ${device.serial} and address ${device.address}; a CANedge lives in the folder of its serial`,
      fix: 'leave address out',
    });
  }
  const kpub = device.options['kpub'];
  const key = typeof kpub === 'string' ? readKpub(kpub) : null;
  if (key?.ok === false) {
    problems.push({
      code: 'CANEDGE_KPUB',
      summary: `options.kpub of device ${device.id} ${key.error}`,
      fix: 'copy kpub out of the device’s own device.json',
    });
  }
  if (CANEDGE_MODELS.some((model) => model.name === device.model && model.network === 'none')) {
    problems.push({ code: 'CANEDGE_OFFLINE_MODEL', summary: `a ${device.model} has no network: it cannot be managed over S3` });
  }
  return problems;
}

/** A reported value may say more than the version: what is left of it in the bucket. */
function firmwarePart(text: string): string {
  return text.split(',', 1)[0] ?? text;
}

/** Of trust: that it carries what is declared. Of all else: that it is as declared. */
function proves(declared: DeclaredItem, reported: ReportedDevice): boolean {
  if (declared.item === 'trust') return provesTrust(declared, reported);
  const value = reported.items[declared.item];
  if (value?.kind !== 'value' || value.madeNotBefore === null) return false;
  return value.value === declared.value || agrees(declared, value);
}

function agrees(declared: DeclaredItem, reported: Extract<ReportedItem, { kind: 'value' }>): boolean {
  if (declared.item === 'trust') {
    const [wanted, trust] = [readDeclaredTrust(declared), readReportedTrust(reported)];
    return wanted !== null && trust !== null && trustAgrees(wanted, trust);
  }
  if (declared.item === 'firmware') {
    return (
      sameVersion(declared.value, firmwarePart(reported.value)) && reported.value === firmwareValue(firmwarePart(reported.value), false)
    );
  }
  const wanted = readDeclaredConfig(declared);
  const shown = readConfigFacts(reported);
  if (wanted === null || shown === null) return false;
  return shown.series === wanted.series && shown.crc === wanted.crc && shown.object?.crc === wanted.crc;
}
