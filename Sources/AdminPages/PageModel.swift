/// Something that a template shows: it answers by the names that templates use.
///
/// Items of lists are classes: they are passed on for every tag, and a reference costs less than a copy.
protocol PageModel: PageValue {
    /// What the name stands for; `nil` where it stands for nothing here, and what surrounds it is asked.
    func child(named name: String) -> (any PageValue)?

    /// Everything that decides how an item of a list is rendered, what surrounds it included; `nil` for one that is
    /// rendered each time. Two kinds of items have no key in common.
    var renderingKey: String? { get }
}

extension PageModel {
    var renderingKey: String? { nil }
}

/// What a name in a template stands for.
protocol PageValue {
    /// The value as the renderer sees it.
    var content: PageContent { get }
}

/// What the renderer tells apart.
enum PageContent {
    /// Written, escaped; a section of it is rendered once, with the text as `{{.}}`.
    case text(String)
    /// Whether a section is rendered.
    case flag(Bool)
    /// A section is rendered once for each.
    case list([any PageModel])
    /// A section is rendered once, and asks it first.
    case model(any PageModel)
}

extension PageModel {
    var content: PageContent { .model(self) }
}

extension String: PageValue {
    var content: PageContent { .text(self) }
}

extension Int: PageValue {
    var content: PageContent { .text(String(self)) }
}

extension Bool: PageValue {
    var content: PageContent { .flag(self) }
}

extension Array: PageValue where Element: PageModel {
    var content: PageContent { .list(self) }
}
