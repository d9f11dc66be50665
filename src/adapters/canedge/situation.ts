import type { Json } from '#kit/canonical.ts';
import type { Content, DeclaredDevice, DeclaredItem } from '#model/declared.ts';
import type { ReportedDevice } from '#model/reported.ts';
import type { OperationsRequest } from '#ports/family.ts';
import { connectSummary } from './connect.ts';
import {
  readConfigFacts,
  readDeclaredConfig,
  readDeclaredFirmware,
  readFirmwareFacts,
  type ConfigFacts,
  type DeclaredConfigFacts,
  type DeclaredFirmwareFacts,
  type FirmwareFacts,
} from './facts.ts';
import { parseJson } from './json.ts';
import { readMemo } from './memo.ts';
import {
  linkChangeOf,
  NOTHING,
  trustOperations,
  trustSituation,
  type LinkChange,
  type TrustAnswer,
  type TrustSituation,
} from './trust-operations.ts';

/** Everything the rules look at, read once. */
export interface Situation {
  readonly device: DeclaredDevice;
  readonly reported: ReportedDevice;
  readonly runs: { readonly firmware: FirmwareFacts; readonly config: ConfigFacts };
  readonly wants: {
    readonly firmware: (DeclaredFirmwareFacts & { readonly item: DeclaredItem }) | null;
    readonly config: (DeclaredConfigFacts & { readonly item: DeclaredItem }) | null;
  };
  readonly drifted: { readonly firmware: boolean; readonly config: boolean };
  /** Why a config that is declared cannot be made here (its secrets are sealed, the device's key is not known). */
  readonly configHeld: string | null;
  /** Certificates, where they are declared and reported, and their own steps. */
  readonly trust: TrustSituation | null;
  readonly trustSteps: TrustAnswer;
}

/** Null while firmware or config of the device is not known. */
export function situationOf(request: OperationsRequest): Situation | null {
  const { device, reported, items, drifted } = request;
  const firmware = readFirmwareFacts(reported.items.firmware);
  const config = readConfigFacts(reported.items.config);
  if (firmware === null || config === null) return null;
  const firmwareItem = items.find((item) => item.item === 'firmware');
  const configItem = items.find((item) => item.item === 'config');
  const wantedFirmware = readDeclaredFirmware(firmwareItem);
  const wantedConfig = readDeclaredConfig(configItem);
  const trust = trustSituation({ device, reported, items, running: config.running, link: firmware.link });
  return {
    device,
    reported,
    runs: { firmware, config },
    wants: {
      firmware: wantedFirmware === null || firmwareItem === undefined ? null : { ...wantedFirmware, item: firmwareItem },
      config: wantedConfig === null || configItem === undefined ? null : { ...wantedConfig, item: configItem },
    },
    drifted: { firmware: drifted.includes('firmware'), config: drifted.includes('config') },
    configHeld: configItem?.impossible?.evidence ?? null,
    trust,
    trustSteps: trust !== null && drifted.includes('trust') ? trustOperations(trust) : NOTHING,
  };
}

/** How the declared config changes the server of the device. */
export function linkChange({ runs, reported }: Situation, document: Json): LinkChange {
  return linkChangeOf(runs.config.running, connectSummary(document), readMemo(reported).towards !== null);
}

/** The config in a content whose bytes are at hand. */
export function documentOf(content: Content | null): ReturnType<typeof parseJson> {
  return content?.kind === 'bytes' ? parseJson(content.bytes) : undefined;
}
