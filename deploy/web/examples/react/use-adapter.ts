import { useCallback, useEffect, useState } from 'react';
import type {
  ConnectionState, EnterpriseAdapter, Message, MessagePage, User,
} from '../../services/enterprise-adapter';

/** Who is logged in, once what this browser has kept was looked at; `undefined` until then. */
export function useUser(adapter: EnterpriseAdapter): User | null | undefined {
  const [user, setUser] = useState<User | null | undefined>(undefined);
  useEffect(() => {
    // `login` comes for a session that is resumed, too; and both come when another tab logs in or out.
    const ends = [adapter.on('login', setUser), adapter.on('logout', () => setUser(null))];
    adapter.resume().then(setUser, () => setUser(null));
    return () => ends.forEach((end) => end());
  }, [adapter]);
  return user;
}

export function useConnection(adapter: EnterpriseAdapter): ConnectionState {
  const [state, setState] = useState<ConnectionState>(adapter.state);
  useEffect(() => adapter.on('state', (now) => setState(now.state)), [adapter]);
  return state;
}

/** A customer's own conversation, oldest message first, and a call for what was before it. */
export function useMessages(adapter: EnterpriseAdapter, user: User) {
  const [messages, setMessages] = useState<Message[]>([]);
  const [hasMore, setHasMore] = useState(false);
  const conversationId = `c:${user.id}`;

  useEffect(() => {
    let isCurrent = true;
    const take = (message: Message) => {
      if (message.conversationId === conversationId) setMessages((known) => merged(known, [message]));
    };
    const show = (page: MessagePage) => {
      if (!isCurrent) return;
      // In place of what was shown, which may have a hole now; but not of what came while the page was read.
      const last = Math.max(0, ...page.messages.map(({ seq }) => seq ?? 0));
      setMessages((known) => merged(page.messages, known.filter(({ seq }) => seq !== null && seq > last)));
      setHasMore(page.hasMore);
    };
    const read = () => void adapter.getMessages({ conversationId }).then(show, () => {});
    const ends = [
      adapter.on('message', take),
      adapter.on('messageUpdated', take),
      adapter.on('messageRemoved', ({ key }) => setMessages((known) => known.filter((one) => one.key !== key))),
      adapter.on('historyChanged', read),
      adapter.on('connected', read),
    ];
    read();
    return () => {
      isCurrent = false;
      ends.forEach((end) => end());
      setMessages([]);
    };
  }, [adapter, conversationId]);

  const loadOlder = useCallback(async () => {
    const before = messages.find(({ seq }) => seq !== null)?.seq;
    if (before == null) return;
    const page = await adapter.getMessages({ conversationId, before });
    setMessages((known) => merged(page.messages, known));
    setHasMore(page.hasMore);
  }, [adapter, conversationId, messages]);

  return { messages, hasMore, loadOlder };
}

/** In the order of the conversation, what was not sent yet last; of two with the same key the newer. */
function merged(known: Message[], newer: Message[]): Message[] {
  const byKey = new Map(known.map((message) => [message.key, message]));
  for (const message of newer) byKey.set(message.key, message);
  return [...byKey.values()].sort((a, b) => (a.seq ?? Infinity) - (b.seq ?? Infinity) || 0);
}
