-- The language server in Neovim: require("forge").setup(), in init.lua. It starts `forge lsp` for every recipe that is opened.
local forge = {}

-- start connects a buffer with the server of its folder.
function forge.start(command)
  local root = vim.fn.expand("%:p:h")
  if vim.lsp.start then
    return vim.lsp.start({ name = "forge", cmd = command, root_dir = root })
  end
  -- Neovim 0.7
  local id = vim.lsp.start_client({ name = "forge", cmd = command, root_dir = root })
  if id then vim.lsp.buf_attach_client(0, id) end
  return id
end

-- setup takes { cmd = { "forge", "lsp" } } where the binary is not on the PATH.
function forge.setup(options)
  local command = options and options.cmd or { "forge", "lsp" }
  vim.api.nvim_create_autocmd("FileType", {
    pattern = "forge",
    callback = function() forge.start(command) end,
  })
end

return forge
