import { openDialog } from './dialog.js';
import { el, icon } from './dom.js';
import { fileSize } from './i18n.js';
import { shownSize } from './message-view.js';
import { notice } from './notices.js';
import { problemText } from './problems.js';

/**
 * @typedef {import('../services/enterprise-adapter').Attachment} Attachment
 * @typedef {import('../services/enterprise-adapter').EnterpriseAdapter} EnterpriseAdapter
 * @typedef {import('./message-view.js').Translate} Translate
 */

/** The drawing that stands for a file. */
export const FILE_ICON = 'M6 2h8l6 6v14H4V4a2 2 0 0 1 2-2zm7 1.5V9h5.5z';

/**
 * Calls back once somebody may soon see the element.
 *
 * @param {Element} element
 * @param {() => void} callback
 */
function whenNear(element, callback) {
  const observer = new IntersectionObserver((entries) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    observer.disconnect();
    callback();
  }, { rootMargin: '300px' });
  observer.observe(element);
}

/**
 * A message's file: a picture in the room that is reserved for it, a player, or a line to save it by. Addresses are
 * asked for when they are needed, since they expire.
 *
 * @param {EnterpriseAdapter} adapter
 * @param {Attachment} file
 * @param {Translate} t
 */
export function attachmentView(adapter, file, t) {
  if (file.type === 'image') return picture(adapter, file, t);
  if (file.type === 'video' || file.type === 'voice') return player(adapter, file);
  return el('button', { type: 'button', class: 'file', 'aria-label': t('download', { name: file.name }),
    onclick: () => save(adapter, file) },
  icon(FILE_ICON), el('span', { class: 'file-name' }, file.name), el('span', { class: 'small' }, fileSize(file.size)));
}

/** @param {EnterpriseAdapter} adapter @param {Attachment} file @param {Translate} t */
function picture(adapter, file, t) {
  const image = el('img', { ...shownSize(file), alt: file.name, class: 'picture', decoding: 'async' });
  const button = el('button', { type: 'button', class: 'picture-button',
    'aria-label': t('open_image', { name: file.name }),
    onclick: () => void enlarge(adapter, file, t) }, image);
  let failed = 0;
  const load = () => void adapter.fileUrl(file).then((url) => (image.src = url), () => {});
  // An address may have expired between being asked for and being used.
  image.addEventListener('error', () => (failed += 1) < 3 && setTimeout(load, failed * 1000));
  whenNear(image, load);
  return button;
}

/** @param {EnterpriseAdapter} adapter @param {Attachment} file @param {Translate} t */
async function enlarge(adapter, file, t) {
  try {
    const image = el('img', { alt: file.name, class: 'enlarged', src: await adapter.fileUrl(file),
      width: file.width, height: file.height });
    openDialog(file.name, t('close'), image, el('div', { class: 'actions' },
      el('button', { type: 'button', onclick: () => save(adapter, file) }, t('save')))).classList.add('picture-dialog');
  } catch (error) {
    notice(problemText(error));
  }
}

/** @param {EnterpriseAdapter} adapter @param {Attachment} file */
function player(adapter, file) {
  const media = el(file.type === 'video' ? 'video' : 'audio',
    { controls: true, preload: 'none', 'aria-label': file.name,
    class: 'player' });
  whenNear(media, () => void adapter.fileUrl(file).then((url) => (media.src = url), () => {}));
  return media;
}

/** @param {EnterpriseAdapter} adapter @param {Attachment} file */
async function save(adapter, file) {
  try {
    const link = el('a', { href: await adapter.fileUrl(file), download: file.name, target: '_blank', rel: 'noopener' });
    link.click();
  } catch (error) {
    notice(problemText(error));
  }
}
