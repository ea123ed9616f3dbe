/** Icons, drawn for a 20 x 20 box with lines of the text's color. */
const DRAWN = {
  logo: '<rect x="2.5" y="3.5" width="9" height="9" rx="1.5"/>'
    + '<rect x="8.5" y="7.5" width="9" height="9" rx="1.5" fill="#4c9aff"'
    + ' fill-opacity=".35" stroke="#6db0ff"/>',
  left: '<path d="M12 4.5 6.5 10l5.5 5.5"/>',
  right: '<path d="M8 4.5l5.5 5.5L8 15.5"/>',
  help: '<circle cx="10" cy="10" r="7.25"/><path d="M7.9 8a2.2 2.2 0 1 1 '
    + '3.2 2c-.8.4-1.1.9-1.1 1.6M10 13.9v.1"/>',
  lock: '<rect x="4.5" y="9" width="11" height="7.5" rx="1.5"/>'
    + '<path d="M7 9V6.5a3 3 0 0 1 6 0V9"/>',
  select: '<path d="M5 3.5l10.5 6.2-4.7 1.2-2.4 4.4z"/>',
  hand: '<path d="M10 2.5v15M2.5 10h15M10 2.5 8 4.5m2-2 2 2M10 17.5l-2-2m2 '
    + '2 2-2M2.5 10l2-2m-2 2 2 2M17.5 10l-2-2m2 2-2 2"/>',
  polygon: '<path d="M4.5 7.5 11 3.8l5 5.4-3.2 6.6-7.3-1z"/><g '
    + 'fill="currentColor" stroke="none"><circle cx="4.5" cy="7.5" r="1.6"/>'
    + '<circle cx="11" cy="3.8" r="1.6"/><circle cx="16" cy="9.2" r="1.6"/>'
    + '<circle cx="12.8" cy="15.8" r="1.6"/><circle cx="5.5" cy="14.8" '
    + 'r="1.6"/></g>',
  brush: '<path d="M16.5 3.5c-3 1-6.500 4-7.800 6.700l1.600 1.600c2.700-1.300 '
    + '5.500-4.800 6.200-8.300zM7.600 11.300c-1.600.2-2.400 1.200-2.600 2.600-.1 '
    + '1-.6 1.700-1.500 2.100 2.900 1 5.700-.1 5.800-2.900"/>',
  eraser: '<path d="M11.500 4 4 11.500l4 4h2.500L16 10zM7.700 7.800l4.600 '
    + '4.600M8 15.500h8.500"/>',
  split: '<path d="M8 4.500H4.500v11H8M12 4.500h3.500v11H12"/><path d="M10 '
    + '2.500v15" stroke-dasharray="2.200 1.800"/>',
  merge: '<path d="M3.500 3.500h8.500v4.500h4.500v8.500H8V12H3.500z"/>',
  trash: '<path d="M3.500 5.500h13M8 5.500v-2h4v2M5.500 5.500l.7 '
    + '11h7.600l.7-11M8.500 8.500v5M11.500 8.500v5"/>',
  undo: '<path d="M7 4 3.500 7.500 7 11M4 7.500h7.500a4.250 4.250 0 0 1 0 '
    + '8.500H8"/>',
  redo: '<path d="M13 4l3.500 3.500L13 11M16 7.500H8.500a4.250 4.250 0 0 0 0 '
    + '8.500H12"/>',
  side: '<rect x="2.500" y="4" width="6.500" height="12" rx="1"/>'
    + '<rect x="11" y="4" width="6.500" height="12" rx="1"/>',
  swipe: '<rect x="2.500" y="4" width="15" height="12" rx="1"/><path d="M10 '
    + '2.500v15M7.200 8 5.200 10l2 2M12.800 8l2 2-2 2"/>',
  blink: '<path d="M2.500 10s2.700-4.800 7.500-4.800S17.500 10 17.500 '
    + '10M4 12.300l-1 1.700M7.500 14l-.5 2M12.500 14l.5 2M16 12.300l1 1.700"/>',
  eye: '<path d="M2.500 10S5.200 5 10 5s7.500 5 7.500 5-2.700 5-7.500 '
    + '5-7.500-5-7.500-5z"/><circle cx="10" cy="10" r="2.250"/>',
  fill: '<path d="M4 7.500 10.800 4l5.200 5.200-3 6.300-7.500-.8z" '
    + 'fill="currentColor" fill-opacity=".35"/>',
  cross: '<path d="M10 2.500v5M10 12.500v5M2.500 10h5M12.500 10h5"/>',
  minus: '<path d="M4.500 10h11"/>',
  plus: '<path d="M4.500 10h11M10 4.500v11"/>',
  fit: '<path d="M3.500 7.500v-4h4M12.500 3.500h4v4M16.500 12.500v4h-4M7.500 '
    + '16.500h-4v-4"/>',
  check: '<path d="M4 10.500l4 4 8-9"/>',
  close: '<path d="M5 5l10 10M15 5 5 15"/>',
  stretch: '<path d="M3 5.500h8M15 5.500h2M3 14.500h3M10 14.500h7"/>'
    + '<circle cx="13" cy="5.500" r="1.900"/><circle cx="8" cy="14.500" '
    + 'r="1.900"/>',
};

/** Markup of an icon. */
export function icon(name) {
  return `<svg class="glyph" viewBox="0 0 20 20" aria-hidden="true">${
    DRAWN[name]}</svg>`;
}

/** Put icons in front of what elements with `data-icon` hold. */
export function drawIcons(root) {
  for (const element of root.querySelectorAll('[data-icon]')) {
    element.insertAdjacentHTML('afterbegin', icon(element.dataset.icon));
  }
}
