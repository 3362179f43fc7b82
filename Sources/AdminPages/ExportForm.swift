/// The form that asks for an export: what, and what of it.
struct ExportForm: PageModel {
    /// What is exported where nothing else is chosen.
    var subject: ExportSubject
    /// The fields of the filter that is in force.
    var fields: [(name: String, value: String)] = []

    func child(named name: String) -> (any PageValue)? {
        switch name {
        case "exportOptions":
            [
                (.devices, fields.isEmpty ? "paired devices" : "paired devices that are found"),
                (.requests, "requests"), (.events, "events"),
            ].map { (of: ExportSubject, label: String) in
                OptionItem(of.rawValue, label, isChosen: of == subject)
            }
        case "exportFields": fields.map { FieldItem($0.name, $0.value) }
        default: nil
        }
    }
}

/// A field that a form carries along.
final class FieldItem: PageModel {
    private let name: String
    private let value: String

    init(_ name: String, _ value: String) {
        self.name = name
        self.value = value
    }

    func child(named name: String) -> (any PageValue)? {
        switch name {
        case "fieldName": self.name
        case "fieldValue": value
        default: nil
        }
    }
}
