-- Which actions Argo CD offers for an object, and which of them would do something now.
local status = obj.status or {}
local ready = {}
for _, condition in ipairs(status.conditions or {}) do
  if condition.type == "Ready" then
    ready = condition
  end
end
local deleting = obj.metadata.deletionTimestamp ~= nil
local phase = status.phase

local actions = {}
local function offer(name, title, icon, enabled)
  actions[name] = { disabled = deleting or not enabled, displayName = title, iconClass = "fa fa-fw " .. icon }
end

offer("reconcile", "Look now", "fa-sync", true)

local copies = obj.kind == "MigrationTask" or obj.kind == "TaskGroup"
if copies or obj.kind == "SyncTask" then
  local owned = obj.spec.managementPolicy ~= "Observe"
  local suspended = obj.spec.suspend == true
  local done = phase == "Succeeded" or phase == "SucceededWithFailures"
  offer("suspend", "Suspend", "fa-pause", owned and not suspended and not done)
  offer("resume", "Resume", "fa-play", owned and suspended)
  local waits = ready.reason == "ApprovalRequired" and status.plan ~= nil and status.plan.hash ~= nil
  offer("approve", "Approve the plan", "fa-check", waits)
  if copies then
    local failed = phase == "Failed" or phase == "Retrying"
    -- A task that cannot be started again, or that OMS has lost, takes another run.
    local again = ready.reason ~= "RetryNotPossible" and ready.reason ~= "RemoteTaskGone"
    local begun = status.taskId ~= nil
    -- `spec.retry.limit` goes to 100.
    local made = (status.retries or {}).made or 0
    offer("retry", "Start it again", "fa-redo", owned and failed and again and begun and made < 100)
    offer("rerun", "Run again as a new task", "fa-forward", owned and (done or failed) and begun)
  end
end
return actions
