import type { SimPorts } from '#ports/sim.ts';

/** What lies under a URL; null where it cannot be had, as a device sees it that asks no further. */
export async function simDownload(ports: SimPorts, url: string): Promise<Uint8Array | null> {
  try {
    const answer = await ports.get(url, {});
    return answer.status === 200 ? answer.bytes : null;
  } catch {
    return null;
  }
}

/** A URL as an effect names it: its signature is left out. */
export function urlNoted(url: string): string {
  return url.replace(/\?.*$/, '');
}
