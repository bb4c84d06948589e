import { useEffect, useState, type ChangeEvent, type FormEvent } from 'react';
import type { AdapterError, Attachment, EnterpriseAdapter, Message, User } from '../../services/enterprise-adapter';
import { useConnection, useMessages, useUser } from './use-adapter';

/** A customer's chat. The elements are plain ones: those of a UI library go in their place, the hooks stay. */
export function SupportChat({ adapter }: { adapter: EnterpriseAdapter }) {
  const user = useUser(adapter);
  if (user === undefined) return <p>One moment …</p>;
  return user ? <Conversation adapter={adapter} user={user} /> : <Login adapter={adapter} />;
}

function Login({ adapter }: { adapter: EnterpriseAdapter }) {
  const [problem, setProblem] = useState<AdapterError | null>(null);
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    // The user comes by the event `login`, which the hook listens to.
    adapter.login(String(form.get('username')), String(form.get('password')), 'customer').catch(setProblem);
  };
  return (
    <form onSubmit={submit} aria-label="Log in">
      <label>User name <input name="username" autoComplete="username" required /></label>
      <label>Password <input name="password" type="password" autoComplete="current-password" required /></label>
      <button>Log in</button>
      {problem && <p role="alert">{problem.message}</p>}
    </form>
  );
}

function Conversation({ adapter, user }: { adapter: EnterpriseAdapter; user: User }) {
  const state = useConnection(adapter);
  const { messages, hasMore, loadOlder } = useMessages(adapter, user);
  const [text, setText] = useState('');
  const [percent, setPercent] = useState<number | null>(null);
  const [problem, setProblem] = useState<AdapterError | null>(null);

  const send = (event: FormEvent) => {
    event.preventDefault();
    if (!text.trim()) return;
    // Its message is shown from now on, by `messageUpdated`; also without a connection.
    adapter.sendMessage(text).then(() => setProblem(null), setProblem);
    setText('');
  };
  const upload = async (event: ChangeEvent<HTMLInputElement>) => {
    const [file] = event.target.files ?? [];
    event.target.value = '';
    if (!file) return;
    try {
      const attachment = await adapter.uploadFile(file, setPercent);
      await adapter.sendMessage(attachment.name, null, attachment.type, { attachment });
      setProblem(null);
    } catch (error) {
      setProblem(error as AdapterError);
    } finally {
      setPercent(null);
    }
  };

  return (
    <section aria-label="Support">
      <p>
        {user.name} · <span role="status">{state}</span>{' '}
        <button type="button" onClick={() => void adapter.logout()}>Log out</button>
      </p>
      {hasMore && <button type="button" onClick={() => loadOlder().catch(setProblem)}>Earlier messages</button>}
      <ol role="log">
        {messages.map((message) => <Line key={message.key} adapter={adapter} message={message} />)}
      </ol>
      <form onSubmit={send} aria-label="Write">
        <input aria-label="Message" value={text} onChange={(event) => setText(event.target.value)} />
        <button>Send</button>
        <input type="file" aria-label="File" onChange={upload} />
        {percent !== null && <progress max={100} value={percent} />}
      </form>
      {problem && <p role="alert">{problem.message}</p>}
    </section>
  );
}

function Line({ adapter, message }: { adapter: EnterpriseAdapter; message: Message }) {
  if (message.kind !== 'chat') return <li><em>{message.kind}</em></li>;
  return (
    <li data-status={message.status}>
      {/* Text by somebody else: React makes a text node of it, and nothing else should. */}
      <b>{message.from}</b> {message.recalled ? <em>taken back</em> : message.content}
      {message.file && !message.recalled && <File adapter={adapter} file={message.file} />}
      {message.own && <small> {message.status}</small>}
      {message.status === 'failed' && (
        <>
          {' '}{message.error?.message}
          <button type="button" onClick={() => adapter.resend(message.key).catch(() => {})}>Again</button>
          <button type="button" onClick={() => void adapter.discard(message.key)}>Discard</button>
        </>
      )}
    </li>
  );
}

/** By a signed address, which an `<img>` can use: it needs no header. */
function File({ adapter, file }: { adapter: EnterpriseAdapter; file: Attachment }) {
  const [url, setUrl] = useState<string>();
  useEffect(() => {
    let isCurrent = true;
    adapter.fileUrl(file.id).then((signed) => isCurrent && setUrl(signed), () => {});
    return () => {
      isCurrent = false;
    };
  }, [adapter, file.id]);
  if (!url) return null;
  // The space is known before the picture is there.
  if (file.type === 'image') return <img src={url} alt={file.name} width={file.width} height={file.height} />;
  return <a href={url} download={file.name}>{file.name}</a>;
}
