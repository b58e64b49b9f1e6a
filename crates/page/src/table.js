const at = id => document.getElementById(id), number = value => value.toLocaleString('en');

// Lines of a network's table.
function tableRows(rows) {
  return rows.map(row => {
    const line = document.createElement('tr');
    const cells = [row.path, row.description, row.output.join(' x '), row.shortcut || '', number(row.parameters), number(row.macs)];
    cells.forEach((text, place) => {
      const cell = document.createElement(place ? 'td' : 'th');
      if (!place) cell.scope = 'row';
      cell.textContent = text; line.append(cell);
    });
    return line;
  });
}
