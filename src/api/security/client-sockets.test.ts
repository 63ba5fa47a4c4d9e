import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import type { Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { describe, test } from 'node:test';
import { ClientSockets } from './client-sockets.ts';
import { ApiCounters } from './counters.ts';

/** As much of a socket as is looked at. */
class FakeSocket extends EventEmitter {
  readonly remoteAddress: string;
  readonly remotePort: number;
  isDestroyed = false;

  constructor(remoteAddress: string, remotePort: number) {
    super();
    this.remoteAddress = remoteAddress;
    this.remotePort = remotePort;
  }

  destroy(): void {
    this.isDestroyed = true;
    this.emit('close');
  }
}

function setup(busyFrom: number, perClientMax = 1000) {
  const counters = new ApiCounters();
  const sockets = new ClientSockets(busyFrom, perClientMax, counters);
  const server = new EventEmitter();
  sockets.follow(server as Server);
  let port = 0;
  const connect = (address: string): FakeSocket => {
    const socket = new FakeSocket(address, ++port);
    server.emit('connection', socket);
    return socket;
  };
  /** Begins a request; gives what ends its reply. */
  const ask = (socket: FakeSocket): (() => void) => {
    const reply = new EventEmitter();
    sockets.begin(socket as unknown as Socket, reply as ServerResponse);
    return () => reply.emit('close');
  };
  return { counters, sockets, server, connect, ask };
}

describe('when there are many sockets', () => {
  test('each new one costs the client with most of them the one it has left idle longest', () => {
    const { counters, sockets, connect, ask } = setup(4);
    const other = connect('10.0.0.1');
    const [a, b, c] = [connect('10.0.0.2'), connect('10.0.0.2'), connect('10.0.0.2')];
    assert.equal(sockets.count, 4);
    ask(a)();
    connect('10.0.0.3');
    assert.deepEqual(
      [other, a, b, c].map(({ isDestroyed }) => isDestroyed),
      [false, false, true, false],
    );
    assert.equal(sockets.count, 4);
    assert.equal(counters.socketsDisplaced, 1);
  });

  test('one over which something is asked is not idle', () => {
    const { counters, connect, ask } = setup(2);
    const [a, b] = [connect('10.0.0.2'), connect('10.0.0.2')];
    const end = ask(a);
    ask(b);
    const c = connect('10.0.0.3');
    assert.equal(counters.socketsDisplaced, 0, 'there is none to be closed');
    end();
    connect('10.0.0.4');
    assert.deepEqual([a.isDestroyed, b.isDestroyed, c.isDestroyed], [true, false, false]);
  });

  test('one that answers two requests at once is idle after the second', () => {
    const { sockets, connect, ask } = setup(10);
    const socket = connect('10.0.0.2');
    const ends = [ask(socket), ask(socket)];
    ends[0]!();
    assert.ok(sockets.isBusy(socket as unknown as Socket));
    ends[1]!();
    assert.ok(!sockets.isBusy(socket as unknown as Socket));
  });
});

describe('a client that has as many sockets as one may', () => {
  test('loses the one it has left idle longest to a new one', () => {
    const { counters, sockets, connect, ask } = setup(100, 3);
    const [a, b] = [connect('10.0.0.2'), connect('10.0.0.2'), connect('10.0.0.2')];
    const end = ask(a);
    connect('10.0.0.2');
    assert.deepEqual([a.isDestroyed, b.isDestroyed], [false, true]);
    end();
    assert.deepEqual([counters.socketsDisplaced, counters.socketsRefused, sockets.count], [1, 0, 3]);
  });

  test('and keeps all of them busy gets no other, and others do', () => {
    const { counters, sockets, connect, ask } = setup(100, 2);
    const busy = [connect('10.0.0.2'), connect('10.0.0.2')];
    const ends = busy.map(ask);
    const further = connect('10.0.0.2');
    const other = connect('10.0.0.3');
    assert.deepEqual([further.isDestroyed, other.isDestroyed], [true, false]);
    assert.deepEqual([counters.socketsDisplaced, counters.socketsRefused, sockets.count], [0, 1, 3]);
    for (const end of ends) end();
    busy[0]!.destroy();
    assert.ok(!connect('10.0.0.2').isDestroyed);
  });
});

test('sockets that the server refuses are counted', () => {
  const { counters, server } = setup(2);
  server.emit('drop', {});
  assert.equal(counters.socketsRefused, 1);
});

test('those that were opened with a token that is revoked are closed, the others are not', () => {
  const { counters, sockets, connect } = setup(10);
  const [a, b, c] = [connect('10.0.0.1'), connect('10.0.0.1'), connect('10.0.0.2')];
  sockets.addToken(a as unknown as Socket, 'good');
  sockets.addToken(b as unknown as Socket, 'bad');
  // What the first has opened isn't covered by the second.
  sockets.addToken(b as unknown as Socket, 'good');
  sockets.closeRevoked((id) => id === 'good');
  assert.deepEqual([a.isDestroyed, b.isDestroyed, c.isDestroyed], [false, true, false]);
  assert.equal(counters.socketsRevoked, 1);
  assert.equal(sockets.count, 2);
});

test('what is asked over TLS counts for the socket below', () => {
  const { sockets, server, connect, ask } = setup(1);
  const below = connect('::ffff:10.0.0.2');
  const secured = new FakeSocket(below.remoteAddress, below.remotePort);
  server.emit('secureConnection', secured);
  assert.equal(sockets.clientOf(secured as unknown as Socket), '10.0.0.2');
  const end = ask(secured);
  connect('10.0.0.3');
  assert.equal(below.isDestroyed, false);
  end();
  connect('10.0.0.4');
  assert.equal(below.isDestroyed || secured.isDestroyed, true);
});

test('nothing is kept of sockets that are closed', () => {
  const { sockets, connect } = setup(1000);
  const all = Array.from({ length: 100 }, (_, index) => connect(`10.0.0.${index % 5}`));
  assert.equal(sockets.count, 100);
  for (const socket of all) socket.destroy();
  assert.equal(sockets.count, 0);
});
