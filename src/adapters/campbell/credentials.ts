import type { DeclaredDevice, DeclaredItem } from '#model/declared.ts';
import { allVersions, identityFacts } from '#model/identity.ts';
import { clientIdOf } from './certificates.ts';
import { settingsFacts } from './settings.ts';

/**
 * What lets a logger in at its broker (docs/protocols/campbell-mqtt.md §2): every certificate that it may hold and that no
 * artifact calls withdrawn, and the account of its declared settings; else the client id by which a person finds it there.
 */
export function credentialsOf(device: DeclaredDevice, items: readonly DeclaredItem[], replaced: boolean): readonly string[] {
  const facts = (name: string) => items.find(({ item }) => item === name)?.facts ?? null;
  const identity = identityFacts(facts('identity'));
  const certificates = identity === null ? [] : allVersions(identity).filter(({ withdrawn }) => !withdrawn);
  const named = certificates.map(({ name, fingerprint }) => `certificate ${name} (SHA-256 ${fingerprint.slice(0, 16)}…)`);
  // The certificates are those of the place; account and client id are those of the box that stands there now.
  if (replaced) return named.length > 0 ? named : [`what the box before connected to ${device.via.connection} with`];
  const user = settingsFacts(facts('settings'))?.settings['MQTTUserName'];
  const found = [...named, ...(user === undefined || user === '' ? [] : [`account ${user} at ${device.via.connection}`])];
  const clientId = clientIdOf(device);
  if (found.length > 0 || clientId === null) return found;
  return [`what client ${clientId} connects to ${device.via.connection} with`];
}
