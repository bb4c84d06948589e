import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { EnterpriseAdapter } from '../../services/enterprise-adapter';
import { SupportChat } from './SupportChat';

// One for the page, outside of any component: it holds the socket, whatever is rendered.
const adapter = EnterpriseAdapter.getInstance({ apiUrl: 'http://localhost:6006', wsUrl: 'ws://localhost:6006/ws' });

createRoot(document.getElementById('root') as HTMLElement).render(
  <StrictMode>
    <SupportChat adapter={adapter} />
  </StrictMode>
);
