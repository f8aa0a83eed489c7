// Renga.swift: the Swift face: `import Renga` brings what a Swift host needs.
// Not here: anything of its own; each room documents what is in it.
@_exported import RengaArchitectures
@_exported import RengaData
@_exported import RengaExecution
@_exported import RengaFormats
@_exported import RengaNetwork
@_exported import RengaRewrites
@_exported import RengaTraining
