import type { DeclaredItem } from '#model/declared.ts';
import { itemKind, type ItemName } from '#model/item.ts';
import type { ArtifactVersion } from './artifacts.ts';
import { findFile } from './files.ts';
import type { SettingsSource } from './groups.ts';
import type { Pin, Pins } from './pins.ts';
import { renderCertificates } from './render-certificates.ts';
import { renderDocument, renderLayers } from './render-config.ts';
import { renderExact } from './render-files.ts';
import { renderSettings } from './render-settings.ts';
import {
  chosenVersion,
  firmwareText,
  renderFile,
  renderVersion,
  type RenderedDocument,
  type RenderRequest,
  type Rendering,
} from './render.ts';

export interface ItemsRequest extends RenderRequest {
  readonly pins: Pins;
  readonly settings: readonly SettingsSource[];
  /** Items whose pin has a mistake of its own: what follows from that is not told. */
  readonly brokenPins: ReadonlySet<string>;
  /** Items that an override pins for this device: their files are the device's own. */
  readonly ownPins: ReadonlySet<string>;
}

export interface RenderedItems {
  /** In the family's order. Items with a mistake are left out: what is left out is left alone on the device. */
  readonly items: readonly DeclaredItem[];
  /** What it is told that tells it apart: `label depot` → alston, `file files/can/${id}.json` → blob oid. */
  readonly told: ReadonlyMap<string, string>;
}

/** All that one device carries. Firmware is looked at first, because the series of a config is that of the firmware. */
export function renderItems(request: ItemsRequest): RenderedItems {
  const { family, pins } = request;
  const told = new Map<string, string>();
  const chosen = firmwareOf(request);
  const firmware = chosen === 'leave' ? null : chosen;
  const rendering: Rendering = {
    ...request,
    told,
    used: new Set(),
    firmware: firmware === null ? null : firmwareText(firmware, family),
    series: firmware === null ? null : (family.series(firmware.version) ?? family.series(firmware.reportsAs ?? '')),
    ownPin: false,
    firmwareBroken: chosen === null && (request.brokenPins.has('firmware') || pins.has('firmware')),
  };
  const ownWorld = { ...request.world, files: request.world.ownFiles };
  const renderingOf = (pin: Pin): Rendering =>
    request.ownPins.has(pin.item) ? { ...rendering, world: ownWorld, ownPin: true } : rendering;
  const items: DeclaredItem[] = [];
  for (const name of family.items) {
    const pin = pins.get(name);
    if (rendering.used.size > 0) rendering.used.clear();
    const item =
      name === 'settings' ? renderSettings(request.settings, rendering) : pin === undefined ? null : renderPin(pin, renderingOf(pin));
    if (item !== null) items.push(item);
  }
  return { items, told };
}

function firmwareOf(request: ItemsRequest): ArtifactVersion | 'leave' | null {
  const pin = request.pins.get('firmware');
  if (pin === undefined || pin.kind !== 'choices' || !request.family.items.includes('firmware')) return null;
  // Its mistakes are told when the item itself is rendered.
  const chosen = chosenVersion(pin, { ...request, world: { ...request.world, mistake: () => undefined } });
  return chosen === null || chosen === 'leave' ? chosen : chosen.version;
}

function renderPin(pin: Pin, rendering: Rendering): DeclaredItem | null {
  switch (pin.kind) {
    case 'choices':
      return renderChoice(pin, rendering);
    case 'file':
      return renderFile(pin, rendering);
    case 'layers':
      return renderLayers(pin, rendering);
    case 'certificates':
      return renderCertificates(pin, rendering);
    case 'exact':
      return renderExact(pin, rendering);
  }
}

function renderChoice(pin: Extract<Pin, { kind: 'choices' }>, rendering: Rendering): DeclaredItem | null {
  const chosen = chosenVersion(pin, rendering);
  if (chosen === null || chosen === 'leave') return null;
  const kind = itemKind(pin.item);
  if (kind === 'trust' || kind === 'identity') {
    return renderCertificates({ item: pin.item, use: chosen.version, usePlace: chosen.place, keep: [], others: chosen.others }, rendering);
  }
  const document = documentOf(pin.item, chosen.version, rendering);
  if (document === undefined) return null;
  return renderVersion({ ...chosen, document }, pin, rendering);
}

const NO_DOCUMENT: RenderedDocument = { document: null, secrets: new Map() };

/** The JSON of a pinned config of the repo, null for anything else; undefined when it has a mistake. */
function documentOf(item: ItemName, version: ArtifactVersion, rendering: Rendering): RenderedDocument | undefined {
  if (itemKind(item) !== 'config' || version.path === null || !version.path.endsWith('.json')) return NO_DOCUMENT;
  const file = findFile(rendering.world.files, version.path);
  return file.ok ? (renderDocument(file.value, item, rendering) ?? undefined) : undefined;
}
