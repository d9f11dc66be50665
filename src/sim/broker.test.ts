import { messageBusContract } from '#test/contract/message-bus.ts';
import { memoryBroker, startBroker } from './broker.ts';

messageBusContract('the embedded broker in memory', async () => {
  const broker = memoryBroker();
  return {
    connection: { url: 'memory', streamBuilder: () => broker.stream() },
    expires: false,
    dropClient: (id) => void broker.dropClient(id),
    close: () => broker.close(),
  };
});

messageBusContract('the embedded broker on TCP', async () => {
  const broker = await startBroker();
  return {
    connection: { url: broker.url ?? '' },
    expires: false,
    dropClient: (id) => void broker.dropClient(id),
    close: () => broker.close(),
  };
});
