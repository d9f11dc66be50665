import { compareText } from '#kit/diagnostics.ts';
import type { MessageBus } from '#ports/message-bus.ts';
import type { ConnectionState } from '#ports/world.ts';

interface Watched {
  lost: number;
  restored: number;
  connected: boolean;
  bus: MessageBus | null;
}

/** How often broker connections were lost and stood again, by connection and role. */
export class ConnectionWatch {
  readonly #watched = new Map<string, Watched & Pick<ConnectionState, 'connection' | 'role'>>();

  /** A bus that was opened anew takes the place of the one before; what the old one does then counts no more. */
  watch(connection: string, role: ConnectionState['role'], bus: MessageBus): MessageBus {
    const key = `${connection} ${role}`;
    const watched = this.#watched.get(key) ?? { connection, role, lost: 0, restored: 0, connected: true, bus: null };
    this.#watched.set(key, watched);
    Object.assign(watched, { bus, connected: true });
    bus.onLost?.(() => {
      if (watched.bus !== bus) return;
      watched.connected = false;
      watched.lost += 1;
    });
    bus.onRestored?.(() => {
      if (watched.bus !== bus) return;
      watched.connected = true;
      watched.restored += 1;
    });
    return bus;
  }

  states(): readonly ConnectionState[] {
    return [...this.#watched.values()]
      .map(({ connection, role, lost, restored, connected }) => ({ connection, role, lost, restored, connected }))
      .toSorted((a, b) => compareText(`${a.connection} ${a.role}`, `${b.connection} ${b.role}`));
  }
}
