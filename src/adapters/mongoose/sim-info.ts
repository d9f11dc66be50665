import { SECOND_MS } from '#kit/duration.ts';
import type { JsonObject } from '#model/shadow.ts';
import type { SimFlash, SimImage } from './sim-flash.ts';
import type { OtaNews } from './sim-shadow.ts';
import type { SimUpdater } from './sim-update.ts';
import type { MongooseSimOptions } from './sim.ts';

/** What a board is at the moment. */
export interface Present {
  readonly image: SimImage;
  readonly mac: string;
  readonly platform: string;
  readonly uptimeMs: number;
}

/** The answer to Sys.GetInfo (docs/protocols/shadow-devices.md §4.3). */
export function systemInfo({ id, app, measures = {} }: MongooseSimOptions, { image, mac, platform, uptimeMs }: Present): JsonObject {
  return {
    id,
    app,
    fw_version: image.version,
    fw_id: image.buildId,
    mg_version: '2.20.0',
    mg_id: '20260101-000000',
    mac,
    arch: platform,
    uptime: Math.floor(uptimeMs / SECOND_MS),
    public_key: '',
    ram_size: 285_980,
    ram_free: 201_124,
    ram_min_free: 180_364,
    fs_size: 233_681,
    fs_free: 152_608,
    wifi: { sta_ip: '192.168.4.17', ap_ip: '', status: 'got ip', ssid: 'field' },
    ...measures,
  };
}

/** What it shows the server of a bundle (§3.5). */
export function downloadHeaders({ id, app }: MongooseSimOptions, { image, mac, platform }: Present): Readonly<Record<string, string>> {
  return {
    'x-mgos-device-id': `${id} ${mac}`,
    'x-mgos-fw-version': `${platform} ${image.version} ${image.buildId}`,
    'user-agent': `${app}/${image.version} (MongooseOS/2.20.0; ${platform})`,
  };
}

const STATUSES = { idle: 0, progress: 1, error: 2, success: 3 } as const;

/** What a step of an update is told as (§3.6, B1 and B3). */
export function statusNews({ status, message, percent, code }: SimUpdater, flash: SimFlash): OtaNews {
  const place = { is_committed: flash.isCommitted, partition: flash.slot };
  const told = { status: STATUSES[status], message };
  if (status === 'progress') return { fields: { ...told, ...place, progress_percent: percent, commit_timeout: 0 }, code, message };
  return { fields: status === 'error' ? { ...told, ...place } : { ...told, progress_percent: percent }, code, message };
}

/** What a board is, told each time it connects (§3.2). */
export function shadowNews(
  { id, app }: MongooseSimOptions,
  { present, updater, flash }: { readonly present: Present; readonly updater: SimUpdater; readonly flash: SimFlash },
): OtaNews {
  return {
    fields: {
      fw_version: present.image.version,
      fw_id: present.image.buildId,
      mac: present.mac,
      device_id: id,
      app,
      arch: present.platform,
      status: STATUSES[updater.status],
      message: updater.message,
      is_committed: flash.isCommitted,
      partition: flash.slot,
      commit_timeout: flash.commitTimeout,
    },
  };
}

/** Of all that a real one has what Headgate, or `mos`, may look at or change (§3.1). */
export function configOf({ id, signatureMask, autocommit = false }: MongooseSimOptions): JsonObject {
  return {
    device: { id },
    shadow: { enable: true, ota_enable: true, autocommit, get_on_connect: true },
    update: { timeout: 600, commit_timeout: 0, url: '', interval: 0, sig_req_mask: signatureMask },
    mqtt: { enable: true, keep_alive: 60, clean_session: true, reconnect_timeout_min: 2, reconnect_timeout_max: 60 },
    rpc: { auth_domain: 'RPC', max_frame_size: 4096, max_queue_length: 25 },
  };
}
