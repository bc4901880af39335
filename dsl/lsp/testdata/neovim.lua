-- Drives the language server from Neovim (0.7 or newer) without a screen. Prints `ok NAME` for each thing that works; anything
-- else ends it with exit code 1.
local function fail(text)
  io.stderr:write(text .. "\n")
  vim.cmd("cquit 1")
end

local function check(name, holds, got)
  if not holds then fail("not ok " .. name .. ": " .. vim.inspect(got)) end
  io.stdout:write("ok " .. name .. "\n")
end

local function run()
  vim.cmd("edit mine.forge")
  local buffer = vim.api.nvim_get_current_buf()
  local id = vim.lsp.start_client({ name = "forge", cmd = { vim.env.FORGE_TEST_BINARY }, root_dir = vim.fn.getcwd() })
  vim.lsp.buf_attach_client(buffer, id)
  local client = vim.lsp.get_client_by_id(id)
  if not vim.wait(10000, function() return client.initialized end, 20) then fail("the server does not start") end

  -- Positions of the n-th time that a text stands in the buffer.
  local function at(text, n)
    for row, line in ipairs(vim.api.nvim_buf_get_lines(buffer, 0, -1, false)) do
      local from = line:find(text, 1, true)
      if from then
        n = n - 1
        if n == 0 then
          vim.api.nvim_win_set_cursor(0, { row, from - 1 })
          return { textDocument = { uri = vim.uri_from_bufnr(buffer) }, position = { line = row - 1, character = from - 1 } }
        end
      end
    end
    fail("no " .. text)
  end
  local function ask(method, params)
    local answer = client.request_sync(method, params, 10000, buffer)
    if not answer or answer.err then fail(method .. ": " .. vim.inspect(answer)) end
    return answer.result
  end
  local function settled(want)
    return vim.wait(10000, function() return #vim.diagnostic.get(buffer) == want end, 20)
  end

  local one = settled(1)
  local found = vim.diagnostic.get(buffer)
  check("diagnostics", one and found[1].message:find("q_rnak", 1, true) and found[1].code == "E101" or
    (one and found[1].user_data and found[1].message:find("q_rnak", 1, true)), found)

  local shown = ask("textDocument/hover", at("h = silu", 1))
  check("hover", shown.contents.value:find("[batch, seq, hidden]", 1, true), shown)

  local place = ask("textDocument/definition", at("mla(heads", 1))
  check("definition", place.uri:find("std/attention.forge", 1, true), place)

  local where = at("model.attn", 1)
  where.position.character = where.position.character + #"model."
  local labels = {}
  for _, item in ipairs(ask("textDocument/completion", where).items) do labels[item.label] = true end
  check("completion", labels.layers and labels.gate and labels.vocab, labels)

  local row = at("q_rnak", 1).position.line
  local actions = ask("textDocument/codeAction", {
    textDocument = { uri = vim.uri_from_bufnr(buffer) },
    range = { start = { line = row, character = 0 }, ["end"] = { line = row, character = 100 } },
    context = { diagnostics = {} },
  })
  vim.lsp.util.apply_workspace_edit(actions[1].edit, client.offset_encoding)
  check("quick fix", settled(0), vim.diagnostic.get(buffer))

  local rename = at("hidden = d", 1)
  rename.newName = "wider"
  vim.lsp.util.apply_workspace_edit(ask("textDocument/rename", rename), client.offset_encoding)
  local text = table.concat(vim.api.nvim_buf_get_lines(buffer, 0, -1, false), "\n")
  check("rename", text:find("wider = d * factor", 1, true) and text:find("dot[wider](h, down)", 1, true) and settled(0), text)

  at("wider = d", 1)
  vim.api.nvim_set_current_line("      wider=d*factor")
  local edits = ask("textDocument/formatting", { textDocument = { uri = vim.uri_from_bufnr(buffer) }, options = { tabSize = 2, insertSpaces = true } })
  vim.lsp.util.apply_text_edits(edits, buffer, client.offset_encoding)
  local line = vim.api.nvim_buf_get_lines(buffer, 5, 6, false)[1]
  check("format", line == "  wider = d * factor", line)

  client.stop()
  vim.wait(5000, function() return client.is_stopped() end, 20)
end

local ok, problem = xpcall(run, debug.traceback)
if not ok then fail(problem) end
vim.cmd("qall!")
